/// Bytes on their way out, in order: filled by a responder or by TLS, drained by `send`.
///
/// Confined to one thread. It grows as needed up to `bytesMax` in all and never shrinks by itself: a worker owns one
/// and lends it to whichever connection is writing, so that an idle connection holds no memory here.
@safe
package final class OutboundBuffer {
  /// More than this in one buffer is a bug of the caller, who stops producing long before: 16 MiB.
  package static let bytesMax = 16 << 20

  // Owned by this object alone: allocated in `init` and `grow`, freed in `deinit` and `grow`.
  private var storage: UnsafeMutableBufferPointer<UInt8>
  private var start = 0
  private var end = 0

  /// - Parameter capacity: bytes allocated at once; at least 1.
  package init(capacity: Int) {
    unsafe storage = .allocate(capacity: capacity)
  }

  deinit {
    unsafe storage.deallocate()
  }

  /// The bytes not yet drained.
  @inline(__always)
  package var count: Int { end - start }

  @inline(__always)
  package var isEmpty: Bool { end == start }

  /// Appends a copy of `bytes`.
  package func append(_ bytes: Span<UInt8>) {
    withFreeSpace(atLeast: bytes.count) { output in
      // The destination is this object's own storage and `bytes` is somebody else's: they cannot overlap; the
      // span has room for all of `bytes`, as asked for.
      unsafe bytes.withUnsafeBufferPointer { source in
        unsafe output.withUnsafeMutableBufferPointer { free, count in
          guard let from = source.baseAddress, let to = free.baseAddress else { return }
          unsafe (to + count).initialize(from: from, count: source.count)
          count += source.count
        }
      }
    }
  }

  /// Lets `body` write directly behind the last byte, with room for `bytes` at least.
  @inline(__always)
  package func withFreeSpace<Result>(
    atLeast bytes: Int, _ body: (inout OutputSpan<UInt8>) -> Result
  ) -> Result {
    if unsafe storage.count - end < bytes { grow(by: bytes) }
    // Everything from `end` on is owned, allocated and not in use; `finalize` tells how much `body` initialized.
    let free = unsafe UnsafeMutableBufferPointer(rebasing: storage[end...])
    var output = unsafe OutputSpan(buffer: free, initializedCount: 0)
    let result = body(&output)
    end += unsafe output.finalize(for: free)
    return result
  }

  /// Shows the bytes not yet drained; they stay.
  @inline(__always)
  package func withBytes<Result>(_ body: (Span<UInt8>) -> Result) -> Result {
    // start..<end is initialized and does not change while `body` runs on this, the only, thread.
    let bytes = unsafe UnsafeBufferPointer(rebasing: storage[start..<end])
    return body(unsafe Span(_unsafeElements: bytes))
  }

  /// Drops the first `bytes` bytes: they are sent.
  @inline(__always)
  package func consume(_ bytes: Int) {
    precondition(bytes <= count, "more bytes drained than there were")
    start += bytes
    if start == end {
      start = 0
      end = 0
    }
  }

  /// Drops everything.
  package func removeAll() {
    start = 0
    end = 0
  }

  /// Moves what is there to the front, and to larger storage where that is not enough.
  private func grow(by bytes: Int) {
    let count = self.count
    let needed = count + bytes
    precondition(needed <= Self.bytesMax, "an outbound buffer outgrew its bound")
    // The old storage is read in start..<end, where it is initialized, and freed once nothing points there.
    if unsafe storage.count < needed {
      let larger = UnsafeMutableBufferPointer<UInt8>.allocate(
        capacity: unsafe max(needed, storage.count * 2))
      if count > 0, let to = larger.baseAddress, let from = unsafe storage.baseAddress {
        unsafe to.initialize(from: from + start, count: count)
      }
      unsafe storage.deallocate()
      unsafe storage = larger
    } else if count > 0, let base = unsafe storage.baseAddress {
      unsafe base.update(from: base + start, count: count)
    }
    start = 0
    end = count
  }
}

/// The block that every connection of a worker reads into, one at a time.
@safe
final class ReceiveBlock {
  /// A TLS record's worth: the most that one read of OpenSSL gives.
  static let bytes = 16 << 10

  // Owned by this object alone, allocated in `init`, freed in `deinit`.
  fileprivate let base: UnsafeMutablePointer<UInt8>

  init() {
    unsafe base = .allocate(capacity: Self.bytes)
  }

  deinit {
    unsafe base.deallocate()
  }

  /// Lends the whole block for one look at bytes that nobody keeps.
  func withEmptySpace<Result>(_ body: (inout OutputSpan<UInt8>) -> Result) -> Result {
    // Nobody else uses the block meanwhile: one connection has its turn, and it holds no bytes here.
    let free = unsafe UnsafeMutableBufferPointer(start: base, count: Self.bytes)
    var output = unsafe OutputSpan(buffer: free, initializedCount: 0)
    let result = body(&output)
    _ = unsafe output.finalize(for: free)
    return result
  }
}

/// Bytes that came and are not used up yet.
///
/// While a connection has its turn it reads into the worker's block, without a copy. What is left over at the end of the turn
/// moves to memory of its own, just large enough, and an idle connection holds nothing.
///
/// A class that checks itself that nobody changes it while its bytes are shown: every request looks here a dozen times, and
/// each look at a structure within a class would be a call into the runtime.
@safe
final class ReceiveBuffer {
  // Either nil, or the worker's block (lent), or memory of this buffer's own, which `release` and `deinit` free.
  private var base: UnsafeMutablePointer<UInt8>?
  private var capacity = 0
  private var start = 0
  private var end = 0
  private var isLent = false
  private var isShown = false

  init() {
    unsafe base = nil
  }

  deinit {
    if !isLent { unsafe base?.deallocate() }
  }

  @inline(__always)
  var count: Int { end - start }

  @inline(__always)
  var isEmpty: Bool { end == start }

  /// Shows the bytes; they stay.
  @inline(__always)
  func withBytes<Result>(_ body: (Span<UInt8>) -> Result) -> Result {
    let wasShown = isShown
    isShown = true
    defer { isShown = wasShown }
    // start..<end is initialized, and whatever would change that is refused while `isShown`.
    let bytes = unsafe UnsafeBufferPointer(start: base.map { unsafe $0 + start }, count: count)
    return body(unsafe Span(_unsafeElements: bytes))
  }

  /// Drops the first `bytes` bytes.
  @inline(__always)
  func consume(_ bytes: Int) {
    precondition(bytes <= count, "more bytes used up than there were")
    start += bytes
  }

  /// Drops everything.
  func removeAll() {
    release()
  }

  /// Lets `body` append: to the worker's block where nothing is left over, else behind what is.
  @inline(__always)
  func withFreeSpace<Result>(
    lending block: ReceiveBlock, _ body: (inout OutputSpan<UInt8>) -> Result
  ) -> Result {
    prepare(lending: block)
    isShown = true
    defer { isShown = false }
    // end..<capacity is owned or lent, and not in use; `finalize` tells how much of it `body` initialized.
    let free = unsafe UnsafeMutableBufferPointer(
      start: base.map { unsafe $0 + end }, count: capacity - end)
    var output = unsafe OutputSpan(buffer: free, initializedCount: 0)
    let result = body(&output)
    end += unsafe output.finalize(for: free)
    return result
  }

  private func prepare(lending block: ReceiveBlock) {
    precondition(!isShown, "a buffer is read from while it is read into")
    if isEmpty {
      start = 0
      end = 0
      if isLent { return }
      // Nothing is left in the memory of our own: it goes, and the block takes its place.
      unsafe base?.deallocate()
      unsafe base = unsafe block.base
      capacity = ReceiveBlock.bytes
      isLent = true
    } else if capacity - end < Self.readBytesMin {
      move(toCapacity: max(2 * count, count + Self.readBytesMin))
    }
  }

  /// The least room that a read is given.
  private static let readBytesMin = 2048

  /// At the end of the connection's turn: gives the block back.
  @inline(__always)
  func settle() {
    guard isLent || (isEmpty && capacity > 0) else { return }
    if isEmpty {
      release()
    } else {
      move(toCapacity: count + Self.readBytesMin)
    }
  }

  private func release() {
    precondition(!isShown, "a buffer is emptied while it is read from")
    if !isLent { unsafe base?.deallocate() }
    unsafe base = nil
    capacity = 0
    start = 0
    end = 0
    isLent = false
  }

  /// Moves what is left over to memory of our own.
  private func move(toCapacity newCapacity: Int) {
    precondition(!isShown, "a buffer moves while it is read from")
    // The new memory holds `count` bytes at least, and does not overlap the old, which is ours or lent until here.
    let moved = UnsafeMutablePointer<UInt8>.allocate(capacity: newCapacity)
    let count = self.count
    if let base = unsafe base { unsafe moved.initialize(from: base + start, count: count) }
    release()
    unsafe base = unsafe moved
    capacity = newCapacity
    end = count
  }
}

/// Bytes of one connection, first in, first out: those that came and are not used up, or those that are not sent yet.
/// Confined to its worker's thread.
///
/// It has memory while it has bytes, and only then: a block of the worker's pool within a turn, memory of its own, as large as
/// what it holds, from one turn to the next. So an idle connection holds none, and a block with bytes in it belongs to one
/// connection.
///
/// It checks itself that nobody changes it while its bytes are shown: every request looks here a dozen times, and each
/// look at a structure within a class would be a call into the runtime.
@safe
package final class ByteBuffer {
  private let pool: BufferPool
  /// The most bytes it takes; what a peer can make this process keep for it.
  private let bytesMax: Int32
  // Nil, a block lent by the pool, or memory of this buffer's own: `release` gives back or frees it.
  private var base: UnsafeMutablePointer<UInt8>?
  // Two of these stand by for each idle connection, and none comes near 2 GiB: so the numbers take half the room.
  private var capacity: Int32 = 0
  private var start: Int32 = 0
  /// No byte of the memory from here on was ever written since it was taken.
  private var end: Int32 = 0
  private var isLent = false
  private var isShown = false

  /// An empty buffer.
  ///
  /// - Parameter bytesMax: the most bytes it holds at once; less than 2 GiB.
  package init(pool: BufferPool, bytesMax: Int) {
    self.pool = pool
    self.bytesMax = Int32(clamping: bytesMax)
    unsafe base = nil
  }

  deinit {
    release()
  }

  /// Where whoever uses this buffer reports what must not happen.
  package var faults: Faults { pool.faults }

  @inline(__always)
  package var count: Int { Int(end &- start) }

  @inline(__always)
  package var isEmpty: Bool { end == start }

  /// Shows the bytes; they stay.
  @inline(__always)
  package func withBytes<Result>(_ body: (Span<UInt8>) -> Result) -> Result {
    let wasShown = isShown
    isShown = true
    defer { isShown = wasShown }
    // start..<end is initialized, and whatever would change that is refused while `isShown`.
    let bytes = unsafe UnsafeBufferPointer(start: base.map { unsafe $0 + Int(start) }, count: count)
    return body(unsafe Span(_unsafeElements: bytes))
  }

  /// Drops the first `bytes` bytes; with the last of them the memory goes back.
  @inline(__always)
  package func consume(_ bytes: Int) {
    guard bytes <= count else {
      pool.faults.report("more bytes used up than there were")
      return removeAll()
    }
    start += Int32(truncatingIfNeeded: bytes)
    if start == end { release() }
  }

  /// Drops everything.
  package func removeAll() {
    release()
  }

  /// Lets `body` append; it takes nothing out of the span again, since only what stays is cleared later.
  ///
  /// - Parameter bytes: the least room that `body` is given.
  /// - Returns: nil, with nothing appended, where the buffer would hold more than `bytesMax`.
  @inline(__always)
  package func withFreeSpace<Result>(
    atLeast bytes: Int, _ body: (inout OutputSpan<UInt8>) -> Result
  ) -> Result? {
    let permitted = Int(bytesMax) - count
    guard bytes <= permitted, room >= bytes || makeRoom(for: bytes) else { return nil }
    isShown = true
    // end..<capacity is owned or lent, and not in use; `finalize` tells how much of it `body` initialized.
    let free = unsafe UnsafeMutableBufferPointer(
      start: base.map { unsafe $0 + Int(end) }, count: min(room, permitted))
    var output = unsafe OutputSpan(buffer: free, initializedCount: 0)
    let result = body(&output)
    end += unsafe Int32(truncatingIfNeeded: output.finalize(for: free))
    isShown = false
    if isEmpty { release() }
    return result
  }

  /// Appends a copy of `bytes`; false, with nothing appended, where the buffer would hold more than `bytesMax`.
  package func append(_ bytes: Span<UInt8>) -> Bool {
    let appended: Void? = withFreeSpace(atLeast: bytes.count) { output in
      // The destination is this object's own memory and `bytes` is somebody else's: they cannot overlap; the span
      // has room for all of `bytes`, as asked for.
      unsafe bytes.withUnsafeBufferPointer { source in
        unsafe output.withUnsafeMutableBufferPointer { free, count in
          guard let from = source.baseAddress, let to = free.baseAddress else { return }
          unsafe (to + count).initialize(from: from, count: source.count)
          count += source.count
        }
      }
    }
    return appended != nil
  }

  /// At the end of the connection's turn: gives a block back to the pool, and keeps what is left over in memory of
  /// its own.
  ///
  /// - Parameter spare: the room to append to there.
  @inline(__always)
  package func settle(spare: Int) {
    if isLent { move(toCapacity: count + spare) }
  }

  /// What can be appended where the bytes lie.
  @inline(__always)
  private var room: Int { Int(capacity &- end) }

  @inline(never)
  private func makeRoom(for bytes: Int) -> Bool {
    guard !isShown else {
      pool.faults.report("a buffer is written to while it is shown")
      return false
    }
    let needed = count + bytes
    if unsafe base == nil, needed <= BufferPool.blockBytes {
      unsafe base = unsafe pool.take()
      capacity = Int32(BufferPool.blockBytes)
      isLent = true
      return true
    }
    move(toCapacity: max(needed, 2 * count))
    return true
  }

  /// Moves what is there to other memory: a block of the pool where that is large enough and not the present one.
  private func move(toCapacity newCapacity: Int) {
    guard !isShown else { return pool.faults.report("a buffer moves while it is shown") }
    let count = self.count
    let becomesLent = !isLent && newCapacity <= BufferPool.blockBytes
    // The new memory holds `count` bytes at least, and does not overlap the old, which is ours or lent until here.
    let moved = unsafe becomesLent ? pool.take() : .allocate(capacity: newCapacity)
    if let base = unsafe base { unsafe moved.initialize(from: base + Int(start), count: count) }
    release()
    unsafe base = unsafe moved
    capacity = Int32(truncatingIfNeeded: becomesLent ? BufferPool.blockBytes : newCapacity)
    end = Int32(truncatingIfNeeded: count)
    isLent = becomesLent
  }

  /// Gives the memory back, cleared.
  @inline(__always)
  private func release() {
    guard let base = unsafe base else { return }
    guard !isShown else { return pool.faults.report("a buffer is emptied while it is shown") }
    if isLent {
      unsafe pool.give(base, used: Int(end))
    } else {
      // Of our own, allocated in `move`, with `end` bytes initialized.
      unsafe base.update(repeating: 0, count: Int(end))
      unsafe base.deallocate()
    }
    unsafe self.base = nil
    capacity = 0
    start = 0
    end = 0
    isLent = false
  }
}

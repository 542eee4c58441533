/// Empty blocks of memory for the buffers of one worker's connections. Confined to its thread.
///
/// A block in here has no byte in it: what comes back is cleared, up to the furthest byte that was ever written. So no
/// byte of one client can reach another, whatever is forgotten elsewhere, and no token outlives its request here.
@safe
package final class BufferPool {
  /// The size of a block, in bytes: two TLS records, or the answers of a pipelining client's turn.
  package static let blockBytes = 32 << 10
  /// Blocks kept for the next; more than this come back only after a turn that needed many.
  private static let keptMax = 8

  /// Told of what must not happen to a buffer.
  package let faults: Faults
  /// Blocks that buffers have now: each of these has bytes in it.
  package private(set) var blocksLent = 0
  // Each is owned by this object alone while it is here: allocated in `take`, freed in `give` or `deinit`.
  private var kept: [UnsafeMutablePointer<UInt8>] = unsafe []

  /// - Parameter faults: told of what must not happen to a buffer.
  package init(faults: Faults) {
    self.faults = faults
    unsafe kept.reserveCapacity(Self.keptMax)
  }

  deinit {
    while let block = unsafe kept.popLast() { unsafe block.deallocate() }
  }

  /// Lends a block of `blockBytes` zeroes, for `give` to take back.
  @inline(__always)
  func take() -> UnsafeMutablePointer<UInt8> {
    blocksLent += 1
    if let block = unsafe kept.popLast() { return unsafe block }
    return unsafe Self.makeBlock()
  }

  @inline(never)
  private static func makeBlock() -> UnsafeMutablePointer<UInt8> {
    let block = UnsafeMutablePointer<UInt8>.allocate(capacity: blockBytes)
    unsafe block.initialize(repeating: 0, count: blockBytes)
    return unsafe block
  }

  /// Takes a block back, of which nobody has a pointer any more and only the first `used` bytes were written.
  @inline(__always)
  func give(_ block: UnsafeMutablePointer<UInt8>, used: Int) {
    blocksLent -= 1
    // The block has `blockBytes` bytes, and `used` is never more.
    unsafe block.update(repeating: 0, count: used)
    if unsafe kept.count < Self.keptMax {
      unsafe kept.append(block)
    } else {
      unsafe block.deallocate()
    }
  }

  /// Lends a block for the length of one call, to write what is used before it returns; at least `bytes` bytes of
  /// room, larger than a block where need be.
  @inline(__always)
  package func withScratch<Result>(
    atLeast bytes: Int, _ body: (inout OutputSpan<UInt8>) -> Result
  ) -> Result {
    guard bytes <= Self.blockBytes else { return withLargeScratch(bytes, body) }
    let block = unsafe take()
    let free = unsafe UnsafeMutableBufferPointer(start: block, count: Self.blockBytes)
    var output = unsafe OutputSpan(buffer: free, initializedCount: 0)
    let result = body(&output)
    // `finalize` tells how much of the block `body` wrote.
    unsafe give(block, used: output.finalize(for: free))
    return result
  }

  @inline(never)
  private func withLargeScratch<Result>(
    _ bytes: Int, _ body: (inout OutputSpan<UInt8>) -> Result
  ) -> Result {
    let free = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: bytes)
    var output = unsafe OutputSpan(buffer: free, initializedCount: 0)
    let result = body(&output)
    // Wiped and freed here, where it was allocated.
    let used = unsafe output.finalize(for: free)
    unsafe free.baseAddress?.update(repeating: 0, count: used)
    unsafe free.deallocate()
    return result
  }

  /// Every block in here holds zeroes and nothing else: for a simulation that looks after each step.
  package var isClean: Bool {
    unsafe kept.allSatisfy { block in
      // Each block has `blockBytes` initialized bytes.
      unsafe UnsafeBufferPointer(start: block, count: Self.blockBytes).allSatisfy { $0 == 0 }
    }
  }
}

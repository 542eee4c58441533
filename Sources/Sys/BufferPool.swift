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
  // Room for `keptMax` pointers, of which the first `keptCount` are initialized; memory of its own, since a look at an array
  // within a class is a call into the runtime. Each block is owned by this object alone while it is here: allocated
  // in `take`, freed in `give` or `deinit`.
  private let kept: UnsafeMutablePointer<UnsafeMutablePointer<UInt8>>
  private var keptCount = 0
  private var lentCount = 0

  /// - Parameter faults: told of what must not happen to a buffer.
  package init(faults: Faults) {
    self.faults = faults
    unsafe kept = .allocate(capacity: Self.keptMax)
  }

  deinit {
    for index in 0..<keptCount { unsafe kept[index].deallocate() }
    unsafe kept.deallocate()
  }

  /// Blocks that buffers have now: each of these has bytes in it.
  package var blocksLent: Int { lentCount }

  /// Lends a block of `blockBytes` zeroes, for `give` to take back.
  @inline(__always)
  func take() -> UnsafeMutablePointer<UInt8> {
    lentCount += 1
    if keptCount == 0 { return unsafe Self.makeBlock() }
    keptCount -= 1
    return unsafe kept[keptCount]
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
    lentCount -= 1
    // The block has `blockBytes` bytes, and `used` is never more.
    unsafe block.update(repeating: 0, count: used)
    if keptCount < Self.keptMax {
      unsafe (kept + keptCount).initialize(to: block)
      keptCount += 1
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
    (0..<keptCount).allSatisfy { index in
      // Each block has `blockBytes` initialized bytes.
      unsafe UnsafeBufferPointer(start: kept[index], count: Self.blockBytes).allSatisfy { $0 == 0 }
    }
  }
}

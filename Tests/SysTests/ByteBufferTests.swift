import Sys
import Testing

struct ByteBufferTests {
  let pool = BufferPool(faults: Faults())

  private func buffer(bytesMax: Int = 1 << 20) -> ByteBuffer {
    ByteBuffer(pool: pool, bytesMax: bytesMax)
  }

  private func contents(_ buffer: ByteBuffer) -> [UInt8] {
    buffer.withBytes { bytes in bytes.indices.map { bytes[$0] } }
  }

  private func append(_ bytes: [UInt8], to buffer: ByteBuffer) -> Bool {
    buffer.append(bytes.span)
  }

  /// Appends as a read would: at most what there is room for.
  private func fill(_ buffer: ByteBuffer, _ bytes: ArraySlice<UInt8>) -> Int {
    buffer.withFreeSpace(atLeast: 1) { output in
      let taken = min(bytes.count, output.freeCapacity)
      for byte in bytes.prefix(taken) { output.append(byte) }
      return taken
    } ?? 0
  }

  @Test(arguments: [1, 7, 100, 2048, 5000, 16_384, 40_000], [0, 100])
  func bytesStayInOrderThroughEveryMove(turn: Int, spare: Int) {
    let buffer = buffer()
    let input = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    var offset = 0
    var expected: [UInt8] = []
    var turns = 0
    while offset < input.count, turns < 3000 {
      turns += 1
      let taken = fill(buffer, input[offset..<min(offset + turn, input.count)])
      #expect(taken > 0)
      expected += input[offset..<offset + taken]
      offset += taken
      let used = expected.count * 2 / 3
      buffer.consume(used)
      expected.removeFirst(used)
      if turns % 3 != 0 { buffer.settle(spare: spare) }
      #expect(contents(buffer) == expected)
    }
    buffer.removeAll()
    #expect(pool.blocksLent == 0 && pool.isClean)
  }

  @Test func memoryIsHeldOnlyWhileThereAreBytes() {
    let (first, second) = (buffer(), buffer())
    #expect(append([1, 2, 3], to: first) && append([9, 9, 9, 9], to: second))
    #expect(pool.blocksLent == 2)
    first.consume(1)
    first.settle(spare: 10)
    #expect(pool.blocksLent == 1 && pool.isClean)
    #expect(contents(first) == [2, 3])
    #expect(contents(second) == [9, 9, 9, 9])
    second.consume(4)
    #expect(pool.blocksLent == 0 && pool.isClean)
    first.consume(2)
    #expect(first.isEmpty && contents(first) == [])
    // Whoever writes nothing takes nothing.
    first.withFreeSpace(atLeast: 10) { _ in }
    #expect(pool.blocksLent == 0)
  }

  @Test func aBufferThatGoesGivesItsBlockBack() {
    do {
      let buffer = buffer()
      #expect(append([1, 2, 3], to: buffer))
    }
    #expect(pool.blocksLent == 0 && pool.isClean)
  }

  @Test func nothingIsTakenBeyondTheBound() {
    let buffer = buffer(bytesMax: 10)
    #expect(append([UInt8](repeating: 1, count: 8), to: buffer))
    #expect(!append([1, 2, 3], to: buffer))
    #expect(buffer.count == 8)
    let room = buffer.withFreeSpace(atLeast: 1) { $0.freeCapacity }
    #expect(room == 2)
    #expect(append([1, 2], to: buffer))
    #expect(buffer.withFreeSpace(atLeast: 1) { _ in } == nil)
    buffer.consume(1)
    #expect(append([1], to: buffer))
  }

  @Test func aWriterMayUseLessThanItAskedFor() {
    let buffer = buffer()
    buffer.withFreeSpace(atLeast: 100_000) { output in
      #expect(output.freeCapacity >= 100_000)
      output.append(1)
    }
    #expect(contents(buffer) == [1])
  }

  @Test func scratchIsClearedWhenItsCallEnds() {
    for bytes in [10, 100_000] {
      let sum = pool.withScratch(atLeast: bytes) { output in
        #expect(output.freeCapacity >= bytes)
        for _ in 0..<10 { output.append(7) }
        return output.count
      }
      #expect(sum == 10)
      #expect(pool.blocksLent == 0 && pool.isClean)
    }
  }

  @Test func whatIsShownCannotBeTakenAway() async {
    await #expect(processExitsWith: .failure) {
      let buffer = ByteBuffer(pool: BufferPool(faults: Faults()), bytesMax: 10)
      _ = buffer.append([1].span)
      buffer.withBytes { _ in buffer.removeAll() }
    }
    await #expect(processExitsWith: .failure) {
      let buffer = ByteBuffer(pool: BufferPool(faults: Faults()), bytesMax: 10)
      _ = buffer.append([1].span)
      buffer.withBytes { _ in buffer.settle(spare: 0) }
    }
    await #expect(processExitsWith: .failure) {
      let buffer = ByteBuffer(pool: BufferPool(faults: Faults()), bytesMax: 1 << 20)
      _ = buffer.append([1].span)
      buffer.withBytes { _ in _ = buffer.withFreeSpace(atLeast: 1 << 17) { _ in } }
    }
    await #expect(processExitsWith: .failure) {
      ByteBuffer(pool: BufferPool(faults: Faults()), bytesMax: 10).consume(1)
    }
  }
}

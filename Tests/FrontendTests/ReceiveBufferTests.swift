import Testing

@testable import Frontend

struct ReceiveBufferTests {
  /// Appends as a read would: at most what there is room for.
  private func fill(
    _ buffer: ReceiveBuffer, _ block: ReceiveBlock, _ bytes: ArraySlice<UInt8>
  ) -> Int {
    buffer.withFreeSpace(lending: block) { output in
      let taken = min(bytes.count, output.freeCapacity)
      for byte in bytes.prefix(taken) { output.append(byte) }
      return taken
    }
  }

  private func contents(_ buffer: ReceiveBuffer) -> [UInt8] {
    buffer.withBytes { bytes in bytes.indices.map { bytes[$0] } }
  }

  @Test(arguments: [1, 7, 100, 2048, 5000, 16_384])
  func bytesStayInOrderThroughEveryMove(turn: Int) {
    let block = ReceiveBlock()
    let buffer = ReceiveBuffer()
    let input = (0..<40_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    var offset = 0
    var expected: [UInt8] = []
    while offset < input.count {
      let taken = fill(buffer, block, input[offset..<min(offset + turn, input.count)])
      #expect(taken > 0)
      expected += input[offset..<offset + taken]
      offset += taken
      let used = expected.count * 2 / 3
      buffer.consume(used)
      expected.removeFirst(used)
      buffer.settle()
      #expect(contents(buffer) == expected)
    }
  }

  @Test func whatIsLeftOverSurvivesAnotherConnectionsTurn() {
    let block = ReceiveBlock()
    let first = ReceiveBuffer()
    let second = ReceiveBuffer()
    _ = fill(first, block, [1, 2, 3])
    first.consume(1)
    first.settle()
    _ = fill(second, block, [9, 9, 9, 9])
    #expect(contents(first) == [2, 3])
    #expect(contents(second) == [9, 9, 9, 9])
  }

  @Test func anEmptyBufferGivesItsBlockBack() {
    let block = ReceiveBlock()
    let buffer = ReceiveBuffer()
    _ = fill(buffer, block, [1])
    buffer.consume(1)
    buffer.settle()
    #expect(contents(buffer) == [])
    _ = fill(buffer, block, [2])
    #expect(contents(buffer) == [2])
    buffer.removeAll()
    #expect(contents(buffer) == [])
  }

  @Test func whatIsShownCannotBeTakenAway() async {
    await #expect(processExitsWith: .failure) {
      let (block, buffer) = (ReceiveBlock(), ReceiveBuffer())
      buffer.withFreeSpace(lending: block) { $0.append(1) }
      buffer.withBytes { _ in buffer.removeAll() }
    }
    await #expect(processExitsWith: .failure) {
      let (block, buffer) = (ReceiveBlock(), ReceiveBuffer())
      buffer.withFreeSpace(lending: block) { $0.append(1) }
      buffer.withBytes { _ in buffer.settle() }
    }
    await #expect(processExitsWith: .failure) {
      let (block, buffer) = (ReceiveBlock(), ReceiveBuffer())
      buffer.withFreeSpace(lending: block) { _ in buffer.withFreeSpace(lending: block) { _ in } }
    }
  }
}

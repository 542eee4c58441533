import Sys
import Testing

struct OutboundBufferTests {
  private func contents(_ buffer: OutboundBuffer) -> [UInt8] {
    buffer.withBytes { bytes in bytes.indices.map { bytes[$0] } }
  }

  @Test func whatIsAppendedComesOutInOrder() {
    let buffer = OutboundBuffer(capacity: 1)
    var expected: [UInt8] = []
    for count in 0..<200 {
      let piece = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ count) }
      buffer.append(piece.span)
      expected += piece
      if count % 3 == 0 {
        let taken = min(expected.count, count * 2)
        buffer.consume(taken)
        expected.removeFirst(taken)
      }
      #expect(contents(buffer) == expected)
    }
    buffer.removeAll()
    #expect(buffer.isEmpty)
  }

  @Test func aWriterMayUseLessThanItAskedFor() {
    let buffer = OutboundBuffer(capacity: 4)
    buffer.withFreeSpace(atLeast: 1000) { output in
      #expect(output.freeCapacity >= 1000)
      output.append(1)
    }
    #expect(contents(buffer) == [1])
  }

  @Test func drainingMoreThanThereIsTraps() async {
    await #expect(processExitsWith: .failure) {
      let buffer = OutboundBuffer(capacity: 4)
      buffer.consume(1)
    }
  }
}

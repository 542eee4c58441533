import Glibc
import Sys
import Testing

@testable import TLS

struct TLSWireTests {
  /// A read that takes less than it might have is taken for the last one, which saves one more: until somebody has looked.
  @Test func whatCameAfterTheLastReadIsReadOnceSomebodyHasLooked() throws {
    var pair: [Int32] = [-1, -1]
    let type = Int32(SOCK_STREAM.rawValue) | O_CLOEXEC | O_NONBLOCK
    // The array has room for the two descriptors that are written.
    try #require(unsafe socketpair(AF_UNIX, type, 0, &pair) == 0)
    defer { for number in pair { close(number) } }
    let output = ByteBuffer(pool: BufferPool(faults: Faults()), bytesMax: 1024)
    let wire = TLSWire(descriptor: pair[0], output: output)
    wire.beginTurn(bytes: 100)
    #expect(Self.received(wire) == nil)
    // Both strings are readable for the length of the call.
    #expect(unsafe write(pair[1], "hello", 5) == 5)
    #expect(Self.received(wire) == 5)
    #expect(unsafe write(pair[1], "again", 5) == 5)
    #expect(Self.received(wire) == nil && !wire.isBudgetSpent)
    wire.becomeReadable()
    #expect(Self.received(wire) == 5)
    #expect(wire.bytesLeft == 90)
  }

  /// How many bytes a read takes; nil where it says that there are none.
  private static func received(_ wire: TLSWire) -> Int? {
    var room = [UInt8](repeating: 0, count: 50)
    // The array has the fifty bytes that may be written.
    let result = unsafe room.withUnsafeMutableBytes { bytes in
      unsafe bytes.baseAddress.map { unsafe wire.receive(into: $0, room: bytes.count) }
    }
    if case .bytes(let count) = result { return count }
    return nil
  }
}

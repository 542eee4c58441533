import Glibc
import Sys
import Testing

/// Sockets, poller and wakeup, on the loopback interface.
struct SocketTests {
  private static func listener() throws -> ListeningSocket {
    try ListeningSocket(
      binding: SocketAddress(ipv4: 0x7F00_0001, port: 0), dualStack: false, backlog: 8)
  }

  /// A connected client descriptor, closed by its owner.
  private static func connect(to address: SocketAddress) throws -> FileDescriptor {
    let client = FileDescriptor(owning: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
    var raw = sockaddr_in()
    raw.sin_family = sa_family_t(AF_INET)
    raw.sin_port = address.port.bigEndian
    raw.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    // The structure outlives the call, and has the size that is said.
    let result = unsafe withUnsafePointer(to: &raw) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe Glibc.connect(client.number, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    if result != 0 { throw SystemError("connect", code: errno) }
    return client
  }

  private static func waitReadable(_ number: Int32) throws {
    var poller = try Poller()
    try poller.add(number, .read, token: 9)
    try #require(try poller.wait(milliseconds: 60_000) == 1)
    #expect(poller.event(0).token == 9 && poller.event(0).isReadable)
  }

  @Test func bytesGoBothWaysAndTheEndIsSeen() throws {
    let listener = try Self.listener()
    #expect(listener.address.port != 0)
    let client = try Self.connect(to: listener.address)
    try Self.waitReadable(listener.number)
    guard case .connection(let server, let peer) = listener.accept() else {
      Issue.record("nothing was accepted")
      return
    }
    #expect(peer.isLoopback)
    let text = Array("hello".utf8)
    #expect(server.send(text.span) == .bytes(5))

    var word = [UInt8](repeating: 0, count: 5)
    // The array has the five bytes that may be written.
    #expect(unsafe recv(client.number, &word, 5, Int32(MSG_WAITALL)) == 5)
    #expect(word == text)
    #expect(unsafe write(client.number, text, 5) == 5)
    try Self.waitReadable(server.number)

    let block = ByteBuffer(pool: BufferPool(faults: Faults()), bytesMax: 1024)
    #expect(block.withFreeSpace(atLeast: 64) { server.peek(into: &$0) } == .bytes(5))
    block.removeAll()
    #expect(server.discard(2) == .bytes(2))
    #expect(block.withFreeSpace(atLeast: 64) { server.receive(into: &$0) } == .bytes(3))
    #expect(block.withBytes { $0[0] } == UInt8(ascii: "l"))
    #expect(block.withFreeSpace(atLeast: 64) { server.receive(into: &$0) } == .wouldBlock)
    shutdown(client.number, Int32(SHUT_WR))
    try Self.waitReadable(server.number)
    #expect(block.withFreeSpace(atLeast: 64) { server.receive(into: &$0) } == .endOfStream)
  }

  @Test func acceptSaysThatNobodyWaits() throws {
    let listener = try Self.listener()
    guard case .none = listener.accept() else {
      Issue.record("somebody was accepted")
      return
    }
  }

  @Test func aPortInUseIsAnError() throws {
    let listener = try Self.listener()
    #expect(throws: SystemError("bind", code: EADDRINUSE)) {
      _ = try ListeningSocket(binding: listener.address, dualStack: false, backlog: 8)
    }
  }

  @Test func aStoppedListenerRefuses() throws {
    let listener = try Self.listener()
    listener.stop()
    #expect(throws: SystemError("connect", code: ECONNREFUSED)) {
      _ = try Self.connect(to: listener.address)
    }
  }

  @Test func aWakeupIsSeenUntilItIsCleared() throws {
    let wakeup = try Wakeup()
    var poller = try Poller()
    try poller.add(wakeup.number, .read, token: 7)
    #expect(try poller.wait(milliseconds: 0) == 0)
    wakeup.signal()
    wakeup.signal()
    #expect(try poller.wait(milliseconds: 60_000) == 1)
    #expect(poller.event(0).token == 7 && poller.event(0).isReadable)
    wakeup.clear()
    #expect(try poller.wait(milliseconds: 0) == 0)
  }

  @Test func aThreadRunsOnceAndIsJoined() throws {
    let wakeup = try Wakeup()
    let thread = try WorkerThread(named: "a name longer than the kernel keeps") { wakeup.signal() }
    thread.join()
    thread.join()
    var poller = try Poller()
    try poller.add(wakeup.number, .read, token: 1)
    #expect(try poller.wait(milliseconds: 0) == 1)
  }
}

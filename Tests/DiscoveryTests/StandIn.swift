@testable import Discovery
import Glibc
import Synchronization
import Sys

/// A server on loopback that gives each request the next of its replies: Consul or Vault at their worst.
///
/// When the replies run out, the last resort is given to every further request.
final class StandIn: Sendable {
  enum Reply: Sendable {
    case bytes([UInt8])
    /// These bytes and then a reset.
    case reset(after: [UInt8])
    /// These bytes and then the end.
    case end(after: [UInt8])
    /// Nothing, until the client goes.
    case hang
  }

  private struct State {
    var replies: [Reply]
    var heads: [String] = []
    var connections = 0
    /// The descriptors of those that are open.
    var open: Set<Int32> = []
    /// Who waits for so many heads.
    var waiter: (count: Int, continuation: CheckedContinuation<Void, Never>)?
  }

  let port: UInt16
  private let listener: Int32
  private let last: Reply
  private let state: Mutex<State>

  /// - Parameter last: the reply to every further request.
  init(_ replies: [Reply], last: Reply = .hang) throws {
    self.last = last
    state = Mutex(State(replies: replies))
    listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let descriptor = listener
    // `address` is a sockaddr_in of `length` bytes, which is what both calls are told.
    let code = unsafe withUnsafeMutablePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { plain in
        unsafe bind(descriptor, plain, length) | listen(descriptor, 16)
          | getsockname(descriptor, plain, &length)
      }
    }
    precondition(code == 0, "no port on loopback")
    port = UInt16(bigEndian: address.sin_port)
    // The thread ends with the test's process, or when the listener is closed.
    Self.detach { [self] in accept() }
  }

  var authority: String { "127.0.0.1:\(port)" }

  /// The heads of the requests so far.
  var heads: [String] { state.withLock { $0.heads } }

  /// The connections so far.
  var connections: Int { state.withLock { $0.connections } }

  /// Waits until so many requests have come in all; one waits at a time.
  func reached(requests count: Int) async {
    await withCheckedContinuation { continuation in
      let isReached = state.withLock { state in
        if state.heads.count < count { state.waiter = (count, continuation) }
        return state.heads.count >= count
      }
      if isReached { continuation.resume() }
    }
  }

  /// Ends every connection, as a process does that stops.
  func closeConnections() {
    state.withLock { state in
      for connection in state.open { shutdown(connection, Int32(SHUT_RDWR)) }
    }
  }

  func add(_ reply: Reply) { state.withLock { $0.replies.append(reply) } }

  private func accept() {
    while true {
      let connection = Glibc.accept(listener, nil, nil)
      guard connection >= 0 else { return }
      Self.detach { [self] in serve(connection) }
    }
  }

  private func serve(_ connection: Int32) {
    state.withLock { state in
      state.connections += 1
      state.open.insert(connection)
    }
    defer {
      // Out of the set first: its number may be another's at once.
      _ = state.withLock { $0.open.remove(connection) }
      close(connection)
    }
    while let head = readHead(connection) {
      let reply: Reply = state.withLock { state in
        state.heads.append(head)
        if let waiter = state.waiter, state.heads.count >= waiter.count {
          state.waiter = nil
          waiter.continuation.resume()
        }
        return state.replies.isEmpty ? last : state.replies.removeFirst()
      }
      switch reply {
      case .bytes(let bytes): send(bytes, to: connection)
      case .end(let bytes): return send(bytes, to: connection)
      case .reset(let bytes):
        send(bytes, to: connection)
        var abort = linger(l_onoff: 1, l_linger: 0)
        // The option is the size of the structure it is given.
        _ = unsafe setsockopt(
          connection, SOL_SOCKET, SO_LINGER, &abort, socklen_t(MemoryLayout<linger>.size))
        return
      case .hang:
        _ = readHead(connection)
        return
      }
    }
  }

  private func send(_ bytes: [UInt8], to connection: Int32) {
    var sent = 0
    while sent < bytes.count {
      // At most what is left of `bytes` is read.
      let count = unsafe bytes.withUnsafeBytes { buffer in
        unsafe Glibc.send(
          connection, buffer.baseAddress.map { unsafe $0 + sent }, bytes.count - sent,
          Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return }
      sent += count
    }
  }

  /// The next head; nil when the client has gone.
  private func readHead(_ connection: Int32) -> String? {
    var head: [UInt8] = []
    var byte: UInt8 = 0
    while !head.suffix(4).elementsEqual([13, 10, 13, 10]) {
      // One byte is read into one byte.
      guard unsafe read(connection, &byte, 1) == 1 else { return nil }
      head.append(byte)
    }
    return String(decoding: head, as: UTF8.self)
  }

  private static func detach(_ body: @escaping @Sendable () -> Void) {
    let reference = unsafe Unmanaged.passRetained(Body(body))
    var thread = pthread_t()
    // The new thread takes the reference over.
    let code = unsafe pthread_create(
      &thread, nil,
      { pointer in
        guard let pointer = unsafe pointer else { return nil }
        unsafe Unmanaged<Body>.fromOpaque(pointer).takeRetainedValue().run()
        return nil
      }, reference.toOpaque())
    precondition(code == 0, "no thread")
    pthread_detach(thread)
  }

  private final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }
}

extension StandIn.Reply {
  /// A whole answer.
  static func answer(
    _ status: Int, _ fields: [String] = [], body: some Sequence<UInt8>
  ) -> StandIn.Reply {
    let body = Array(body)
    let head =
      ["HTTP/1.1 \(status) Status", "Content-Length: \(body.count)"] + fields + ["", ""]
    return .bytes(Array(head.joined(separator: "\r\n").utf8) + body)
  }

  /// What a Vault says of its health with this status.
  static func vault(_ status: Int) -> StandIn.Reply {
    .answer(status, body: vaultAnswer(status).body)
  }

  /// Consul's answer with these entries.
  static func consul(_ entries: String, index: Int) -> StandIn.Reply {
    answer(200, ["X-Consul-Index: \(index)"], body: "[\(entries)]".utf8)
  }
}

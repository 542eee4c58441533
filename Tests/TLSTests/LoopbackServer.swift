import Glibc
import Sys
import TLS

/// Serves one connection after the other on the calling thread, as a worker does: a client runs
/// beside it as a process of its own.
final class LoopbackServer {
  /// What one connection came to.
  struct Outcome {
    /// `.done(0)`, or how the handshake ended.
    var handshake = TLSProgress.wantsRead
    var received: [UInt8] = []
    /// How reading ended; nil where the handshake failed.
    var end: TLSProgress?
    var version: TLSVersion?
    var isResumed = false
    var clientSubject: String?
    /// Whether bytes of a record were left after a read that did not take them all.
    var hadPendingBytes = false
    /// How often a step had to wait, so that a test can show that it did.
    var waits = 0
    /// How often a step yielded, its budget being spent.
    var yields = 0
    var sent = 0
    /// Of these, until the handshake was complete: with a signature and a ticket, whose lengths vary by chance.
    var sentByHandshake = 0

    var failure: TLSFailure? {
      if case .failed(let failure) = end ?? handshake { failure } else { nil }
    }
  }

  private let listener: Int32
  let port: UInt16
  private let pool = BufferPool(faults: Faults())
  private lazy var output = ByteBuffer(pool: pool, bytesMax: outputBytesMax)

  /// The most that may be unsent.
  var outputBytesMax = 1 << 20
  /// What a session may read from its socket before it yields.
  var turnBytes = 1 << 20

  /// When set, another connection is served between an answer and the next read, and closed when
  /// that has to wait.
  var intruderContext: TLSContext?
  private(set) var intruder: Outcome?
  /// When set, a session is handed one byte at a time, whatever the client sends at once.
  var dribbles = false
  private var intruderDescriptor: Int32?

  init() throws {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    // sockaddr_in is the form bind and getsockname take for AF_INET.
    let isBound = unsafe withUnsafeMutablePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { general in
        unsafe bind(listener, general, length) == 0 && listen(listener, 16) == 0
          && getsockname(listener, general, &length) == 0
      }
    }
    if !isBound { throw Subprocess.Failed(description: "cannot listen: \(errno)") }
    self.listener = listener
    port = UInt16(bigEndian: address.sin_port)
  }

  deinit { close(listener) }

  /// Starts a client and serves `connections` of its connections, each with the context of its
  /// number.
  ///
  /// - Returns: what came of each, and the client's exit status and output.
  func serve(
    connections: Int = 1, response: [UInt8] = Array("hello\n".utf8), client: [String],
    input: String = "", context: (Int) throws -> TLSContext
  ) throws -> (outcomes: [Outcome], status: Int32, output: String) {
    let process = try Subprocess(client, input: input)
    var outcomes: [Outcome] = []
    for number in 0..<connections {
      let descriptor = try nextConnection()
      defer { close(descriptor) }
      outcomes.append(try serve(try context(number), descriptor, response))
    }
    let (status, text) = try process.wait()
    return (outcomes, status, text)
  }

  private func nextConnection() throws -> Int32 {
    try wait(for: listener)
    let descriptor = accept(listener, nil, nil)
    if descriptor < 0 { throw Subprocess.Failed(description: "accept: \(errno)") }
    _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    return descriptor
  }

  private func serveIntruder() throws {
    guard let context = intruderContext else { return }
    intruderContext = nil
    let descriptor = try nextConnection()
    intruderDescriptor = descriptor
    intruder = try serve(context, descriptor, [])
  }

  private func serve(
    _ context: TLSContext, _ descriptor: Int32, _ response: [UInt8]
  ) throws -> Outcome {
    let dribble = dribbles ? try Dribble(from: descriptor) : nil
    let wire = TLSWire(descriptor: dribble?.input ?? descriptor, output: output)
    wire.beginTurn(bytes: turnBytes)
    var session = try TLSSession(context: context, wire: wire)
    var outcome = Outcome()
    repeat {
      if outcome.waits > 0 {
        try wait(for: descriptor)
        dribble?.handOn()
        wire.beginTurn(bytes: turnBytes)
      }
      outcome.handshake = session.handshake()
      while outcome.handshake == .budgetSpent {
        outcome.yields += 1
        wire.beginTurn(bytes: turnBytes)
        outcome.handshake = session.handshake()
      }
      try flush(to: descriptor, &outcome)
      outcome.waits += 1
    } while outcome.handshake == .wantsRead
    guard case .done = outcome.handshake else { return outcome }
    outcome.sentByHandshake = outcome.sent
    outcome.version = session.protocolVersion
    outcome.isResumed = session.isResumed
    outcome.clientSubject = session.clientSubject
    var hasAnswered = false
    while true {
      var chunk = [UInt8](repeating: 0, count: 1000)
      let (progress, count) = read(&session, into: &chunk)
      outcome.received += chunk[..<count]
      try flush(to: descriptor, &outcome)
      switch progress {
      case .done:
        outcome.hadPendingBytes = outcome.hadPendingBytes || session.hasPendingBytes
        if outcome.received.last != UInt8(ascii: "\n") || hasAnswered { continue }
        hasAnswered = true
        guard session.write(response.span) == .done(response.count) else {
          throw Subprocess.Failed(description: "a write did not take everything")
        }
        session.closeNotify()
        try flush(to: descriptor, &outcome)
        try serveIntruder()
      case .wantsRead:
        outcome.waits += 1
        if let held = intruderDescriptor.take() { close(held) }
        try wait(for: descriptor)
        dribble?.handOn()
        wire.beginTurn(bytes: turnBytes)
      case .budgetSpent:
        outcome.yields += 1
        wire.beginTurn(bytes: turnBytes)
      case .closed, .failed:
        outcome.end = progress
        return outcome
      }
    }
  }

  private func read(
    _ session: inout TLSSession, into chunk: inout [UInt8]
  ) -> (TLSProgress, Int) {
    // The array is initialized and not touched while the span is.
    unsafe chunk.withUnsafeMutableBufferPointer { buffer in
      var span = unsafe OutputSpan(buffer: buffer, initializedCount: 0)
      let progress = session.read(into: &span)
      return (progress, unsafe span.finalize(for: buffer))
    }
  }

  /// Sends all there is; a peer that is gone is no error here: reading will say so.
  private func flush(to descriptor: Int32, _ outcome: inout Outcome) throws {
    while !output.isEmpty {
      let sent = output.withBytes { bytes in
        // The span is readable for the length of the call.
        unsafe bytes.withUnsafeBufferPointer { buffer in
          unsafe send(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_NOSIGNAL))
        }
      }
      if sent < 0, errno == EAGAIN {
        try wait(for: descriptor, events: Int16(POLLOUT))
      } else if sent < 0 {
        output.removeAll()
      } else {
        outcome.sent += sent
        output.consume(sent)
      }
    }
  }

  /// Waits for an event; two minutes without one mean that the other side hangs, on a busy machine too.
  private func wait(for descriptor: Int32, events: Int16 = Int16(POLLIN)) throws {
    var entry = pollfd(fd: descriptor, events: events, revents: 0)
    while true {
      let ready = unsafe poll(&entry, 1, 120_000)
      if ready > 0 { return }
      if ready == 0 { throw Subprocess.Failed(description: "nothing happened for two minutes") }
      if errno != EINTR { throw Subprocess.Failed(description: "poll: \(errno)") }
    }
  }
}

/// A pair of sockets that what a client sends goes through, byte by byte.
private final class Dribble {
  /// What the session reads from.
  let input: Int32
  private let end: Int32
  private let source: Int32

  init(from source: Int32) throws {
    var pair: [Int32] = [-1, -1]
    let type = Int32(SOCK_STREAM.rawValue) | O_CLOEXEC | O_NONBLOCK
    // The array has room for the two descriptors that are written.
    if unsafe socketpair(AF_UNIX, type, 0, &pair) != 0 {
      throw Subprocess.Failed(description: "socketpair: \(errno)")
    }
    (input, end, self.source) = (pair[0], pair[1], source)
  }

  deinit {
    close(input)
    close(end)
  }

  /// Hands on the next byte of a client that has sent one, or its end.
  func handOn() {
    var byte: UInt8 = 0
    // One byte is written, and the one that was is read.
    if unsafe recv(source, &byte, 1, 0) == 1 {
      unsafe send(end, &byte, 1, Int32(MSG_NOSIGNAL))
    } else {
      shutdown(end, Int32(SHUT_WR))
    }
  }
}

extension LoopbackServer {
  /// Python's ssl module as the client, with a few functions for `body` to use.
  func python(root: String, _ body: String) -> [String] {
    let prelude = """
      import os, socket, ssl, struct
      port = \(port)
      context = ssl.create_default_context(cafile="\(root)")
      def connect():
        return socket.create_connection(("127.0.0.1", port), timeout=120)
      def wrap(raw):
        return context.wrap_socket(raw, server_hostname="localhost")
      def plain(tls):
        return socket.socket(fileno=os.dup(tls.fileno()))
      def drain(stream):
        data = b""
        while chunk := stream.recv(65536):
          data += chunk
        return data

      """
    return ["python3", "-c", prelude + body]
  }
}

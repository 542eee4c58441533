import Glibc
import HTTP1
import Sys
import Telemetry
import Testing

@testable import Frontend

/// A worker stepped by its test, on one listener in clear, and a client of it.
final class WorkerFixture {
  let worker: Worker
  let writer: LogWriter
  private let listener: ListeningSocket

  /// - Parameters:
  ///   - faults: do not trap where the test is about what happens elsewhere.
  ///   - clock: tells the worker the time.
  init(
    faults: Faults = Faults(), clock: WorkerClock = .system,
    change: (inout FrontendLimits) -> Void = { _ in },
    makeResponder: @escaping @Sendable () -> any Responder
  ) throws {
    writer = try LogWriter(descriptor: STDERR_FILENO, style: .plain)
    listener = try ListeningSocket(
      binding: SocketAddress(ipv4: 0x7F00_0001, port: 0), dualStack: false, backlog: 16)
    var limits = FrontendLimits()
    change(&limits)
    let configuration = FrontendConfiguration(
      listeners: [
        Listener(
          name: "public", socket: listener, security: .plain, makeResponder: makeResponder)
      ],
      workers: 1, limits: limits, accessLog: .off, server: "test",
      log: .logfmt(writer, level: .error), logWriter: writer)
    let control = try WorkerControl()
    worker = try Worker(
      configuration, state: FrontendState(workers: 1),
      admission: Admission(limits, wakeups: [control.wakeup]), control: control, clock: clock,
      faults: faults)
    try worker.start()
  }

  /// A client's socket, connected.
  func connect() throws -> FileDescriptor {
    let client = FileDescriptor(owning: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = listener.address.port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    // A sockaddr_in is the form connect takes for AF_INET.
    let result = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { general in
        unsafe Glibc.connect(client.number, general, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    try #require(result == 0)
    return client
  }

  /// Sends a request, and steps the worker until an answer or the end of the stream is there.
  func ask(_ client: borrowing FileDescriptor, _ path: String) throws -> String {
    let request = Array("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
    // The array is readable for the length of the call.
    try #require(unsafe send(client.number, request, request.count, 0) == request.count)
    var answer = [UInt8](repeating: 0, count: 65_536)
    while true {
      try worker.turn(waiting: 0)
      // The array has as many bytes as may be written.
      let count = unsafe recv(client.number, &answer, answer.count, Int32(MSG_DONTWAIT))
      if count >= 0 { return String(decoding: answer[..<count], as: UTF8.self) }
      if errno == ECONNRESET { return "" }
      try #require(errno == EAGAIN)
    }
  }

  func closed(_ reason: CloseReason) -> UInt64 {
    worker.control.counters.load(FrontendCounter.closed + reason.rawValue)
  }

  var internalErrors: UInt64 { worker.control.counters.load(FrontendCounter.internalErrors) }
}

/// Answers `/ok`, and does with every other request what no responder should.
final class MisbehavingResponder: Responder {
  let lastLocationHost = ""
  let responseBytesMax = 256

  func respond(
    to head: RequestHead, bytes: Span<UInt8>, context: ResponseContext,
    into output: inout OutputSpan<UInt8>
  ) -> ResponderOutcome {
    let path = bytes.extracting(head.target.range)
    if path.count == 3 {
      output.append("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
      return .answered(status: 200)
    }
    if path.count == 5 { return .hold }
    while !output.isFull { output.append(UInt8(ascii: "x")) }
    return .answered(status: 200)
  }
}

import Glibc
import HTTP1
import Sys
import Telemetry
import Testing

@testable import Frontend

struct WorkerPoolTests {
  @Test func aWorkerThatCannotStartEndsThemAll() throws {
    let socket = try ListeningSocket(
      binding: SocketAddress(ipv4: 0x7F00_0001, port: 0), dualStack: false, backlog: 1)
    let listener = Listener(name: "public", socket: socket, security: .plain) { Mute() }
    let writer = try LogWriter(descriptor: 2, style: .plain)
    // A poller refuses one socket twice.
    let pool = try WorkerPool(
      FrontendConfiguration(
        listeners: [listener, listener], workers: 2, limits: FrontendLimits(), accessLog: .off,
        server: "", log: .logfmt(writer, level: .critical), logWriter: writer))
    #expect(pool.startFailure == nil)
    try pool.start()
    var poller = try Poller()
    try poller.add(pool.finished.number, .read, token: 1)
    #expect(try poller.wait(milliseconds: 60_000) == 1)
    pool.join()
    #expect(pool.startFailure?.code == EEXIST)
  }
}

/// Is never asked anything.
private final class Mute: Responder {
  let lastLocationHost = ""

  func respond(
    to head: RequestHead, bytes: Span<UInt8>, context: ResponseContext,
    into output: inout OutputSpan<UInt8>
  ) -> ResponderOutcome { .hold }
}

import Glibc
import HTTP1
import Sys
import Synchronization
import Testing

@testable import Frontend

/// What one connection may have of a turn of the loop, and when a request that is held is asked again.
struct TurnTests {
  private static let request = Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8)

  private func send(_ client: borrowing FileDescriptor, _ bytes: [UInt8]) throws {
    // The array is readable for the length of the call.
    try #require(unsafe Glibc.send(client.number, bytes, bytes.count, 0) == bytes.count)
  }

  /// Sixty-four requests are there at once. An answer is one of the turn's requests, and one more for each half kibibyte that
  /// it measures: of long ones a turn has few.
  @Test(arguments: [(100, 64), (511, 64), (512, 32), (1024, 22), (4096, 8), (40_000, 1)])
  func aLongAnswerCountsAsSeveral(bytes: Int, answersInATurn: Int) throws {
    let fixture = try WorkerFixture { CountingResponder(answerBytes: bytes) }
    let worker = fixture.worker
    let responder = try #require(worker.responders[0] as? CountingResponder)
    let client = try fixture.connect()
    while worker.connections.count < 1 { try worker.turn(waiting: 60_000) }
    let connection = try #require(worker.connections.all.first)
    let other = try fixture.connect()
    while worker.connections.count < 2 { try worker.turn(waiting: 60_000) }
    try send(client, [[UInt8]](repeating: Self.request, count: 64).flatMap { $0 })
    try worker.turn(waiting: 60_000)
    #expect(connection.requests == answersInATurn)
    // Whoever has come meanwhile is answered before its next turn is over.
    try send(other, Self.request)
    try worker.turn(waiting: 60_000)
    #expect(connection.requests <= 2 * answersInATurn)
    #expect(responder.asked == connection.requests + 1)
  }

  /// A request that is held costs nothing while nothing is published, whatever else wakes its worker.
  @Test func aHeldRequestIsAskedAgainWhenSomethingIsPublished() throws {
    let clock = HandClock()
    let change: (inout FrontendLimits) -> Void = { $0.holdTimeout = .seconds(600) }
    let fixture = try WorkerFixture(clock: clock.reading, change: change) {
      CountingResponder(holds: true)
    }
    let worker = fixture.worker
    let responder = try #require(worker.responders[0] as? CountingResponder)
    let client = try fixture.connect()
    try send(client, Self.request)
    while worker.connections.count(.held) == 0 { try worker.turn(waiting: 60_000) }
    #expect(responder.asked == 1)

    // A wakeup for something else.
    worker.control.wakeup.signal()
    try worker.turn(waiting: 60_000)
    // A connection that comes, sends, and is too late with the rest.
    let late = try fixture.connect()
    while worker.connections.count < 2 { try worker.turn(waiting: 60_000) }
    try send(late, Array(Self.request.dropLast()))
    try worker.turn(waiting: 60_000)
    clock.advance(seconds: 30)
    for _ in 0..<3 { try worker.turn(waiting: 0) }
    #expect(worker.control.counters.load(FrontendCounter.request(status: 408, method: .get)) == 1)
    // Its own connection: the client has said all, and waits.
    try #require(shutdown(client.number, Int32(SHUT_WR)) == 0)
    try worker.turn(waiting: 60_000)
    #expect(responder.asked == 1)

    worker.control.announce()
    try worker.turn(waiting: 60_000)
    #expect(responder.asked == 2 && worker.connections.count(.held) == 1)
    for _ in 0..<3 { try worker.turn(waiting: 0) }
    #expect(responder.asked == 2)

    responder.holds = false
    worker.control.announce()
    try worker.turn(waiting: 60_000)
    #expect(responder.asked == 3 && worker.connections.count(.held) == 0)
  }
}

/// Counts how often it is asked, and holds what it may, or answers with so many bytes.
private final class CountingResponder: Responder {
  let lastLocationHost = ""
  let responseBytesMax = 64 << 10
  private let answerBytes: Int
  var holds: Bool
  private(set) var asked = 0

  /// - Parameter answerBytes: from 50 on.
  init(answerBytes: Int = 100, holds: Bool = false) {
    self.answerBytes = answerBytes
    self.holds = holds
  }

  func respond(
    to head: RequestHead, bytes: Span<UInt8>, context: ResponseContext,
    into output: inout OutputSpan<UInt8>
  ) -> ResponderOutcome {
    asked += 1
    if holds, context.mayHold { return .hold }
    let end = output.count + answerBytes - 4
    output.append("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ")
    while output.count < end { output.append(UInt8(ascii: "x")) }
    output.append("\r\n\r\n")
    return .answered(status: 200)
  }
}

/// Tells the time that a test has set.
private final class HandClock: Sendable {
  private let nanoseconds = Atomic<Int64>(1_000_000_000)

  func advance(seconds: Int64) {
    nanoseconds.add(seconds * 1_000_000_000, ordering: .relaxed)
  }

  var reading: WorkerClock {
    WorkerClock(
      now: { MonotonicTime(nanoseconds: self.nanoseconds.load(ordering: .relaxed)) },
      secondsSinceEpoch: { 0 })
  }
}

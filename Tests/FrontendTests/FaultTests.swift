import HTTP1
import Sys
import Testing

@testable import Frontend

/// What must never happen costs the connection on which it happens, and nobody else anything.
struct FaultTests {
  private func fixture(
    traps: Bool = false, change: (inout FrontendLimits) -> Void = { _ in }
  ) throws -> WorkerFixture {
    try WorkerFixture(faults: Faults(traps: traps), change: change) { MisbehavingResponder() }
  }

  @Test(arguments: ["/outgrows-its-room", "/hold"])
  func aResponderThatMisbehavesCostsOneConnection(path: String) throws {
    let fixture = try fixture()
    let bystander = try fixture.connect()
    let victim = try fixture.connect()
    let second = try fixture.connect()
    #expect(try fixture.ask(bystander, "/ok").hasPrefix("HTTP/1.1 200"))
    #expect(try fixture.ask(victim, path) == "")
    #expect(fixture.internalErrors == 1)
    #expect(try fixture.ask(second, path) == "")
    #expect(fixture.internalErrors == 2)
    #expect(fixture.worker.reportedFaults.count == 1)
    #expect(try fixture.ask(bystander, "/ok").hasPrefix("HTTP/1.1 200"))
    #expect(fixture.worker.connections.count == 1)
    #expect(fixture.worker.buffers.blocksLent == 0 && fixture.worker.buffers.isClean)
  }

  @Test func itTrapsWhereThatFindsTheCause() async {
    await #expect(processExitsWith: .failure) {
      let fixture = try WorkerFixture(faults: Faults(traps: true)) { MisbehavingResponder() }
      _ = try fixture.ask(try fixture.connect(), "/outgrows-its-room")
    }
  }

  @Test func anAnswerThatIsNotTakenEndsItsConnection() throws {
    let fixture = try fixture { $0.unsentBytesMax = 200 }
    #expect(try fixture.ask(try fixture.connect(), "/ok") == "")
    #expect(fixture.closed(.overflow) == 1 && fixture.internalErrors == 0)
    #expect(fixture.worker.connections.count == 0)
  }

  @Test func aHeldRequestThatIsNotWholeIsNeverAnswered() throws {
    let fixture = try fixture()
    #expect(try fixture.ask(try fixture.connect(), "/ok").hasPrefix("HTTP/1.1 200"))
    let client = try fixture.connect()
    #expect(try fixture.ask(client, "/ok").hasPrefix("HTTP/1.1 200"))
    let connection = try #require(fixture.worker.connections.all.last)
    connection.answerHeld(fixture.worker, mayHold: true)
    connection.advance(on: fixture.worker)
    #expect(fixture.internalErrors == 1 && fixture.closed(.internalError) == 1)
  }

  @Test func aConnectionIsRemovedOnce() throws {
    let fixture = try fixture()
    let client = try fixture.connect()
    #expect(try fixture.ask(client, "/ok").hasPrefix("HTTP/1.1 200"))
    let connection = try #require(fixture.worker.connections.all.last)
    connection.close(fixture.worker, .reset)
    connection.close(fixture.worker, .reset)
    #expect(fixture.closed(.reset) == 1 && fixture.internalErrors == 0)
    fixture.worker.remove(connection, .reset)
    #expect(fixture.worker.buffers.faults.take() != nil)
    #expect(fixture.closed(.reset) == 1)
  }

  @Test func nothingIsSaidOrHeardAfterTheEnd() throws {
    let fixture = try fixture()
    let client = try fixture.connect()
    #expect(try fixture.ask(client, "/ok").hasPrefix("HTTP/1.1 200"))
    let connection = try #require(fixture.worker.connections.all.last)
    connection.transport.end()
    let written: Void? = connection.transport.write(atLeast: 1) { $0.append(1) }
    #expect(written == nil && connection.transport.unsentBytes == 0)
    #expect(fixture.worker.buffers.faults.take() != nil)
    connection.transport.becomeReadable()
    connection.transport.beginTurn(fixture.worker.limits)
    guard case .failed(.internalError, nil) = connection.transport.read(into: connection.receive)
    else {
      Issue.record("what comes after the end is only discarded")
      return
    }
    #expect(fixture.worker.buffers.faults.take() != nil)
  }

  @Test func aConnectionIsQueuedOnce() throws {
    let fixture = try fixture()
    let client = try fixture.connect()
    #expect(try fixture.ask(client, "/ok").hasPrefix("HTTP/1.1 200"))
    let connection = try #require(fixture.worker.connections.all.last)
    fixture.worker.resumeLater(connection)
    fixture.worker.resumeLater(connection)
    #expect(fixture.worker.queue == [connection.token])
  }
}

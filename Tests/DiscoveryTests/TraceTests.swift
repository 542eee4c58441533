@testable import Discovery
import Redirect
import Testing

@Suite("Recorded answers of a real Consul")
struct TraceTests {
  /// Who is to be served after each file of the failover: the dead node never is.
  static let expected: [(files: ClosedRange<Int>, node: String?)] = [
    (1...1, "vault-a"), (2...3, nil), (4...7, "vault-b"), (8...9, nil), (10...15, "vault-a"),
    (16...18, nil), (19...22, "vault-b"),
  ]

  @Test("A failover, answer by answer", arguments: [TargetRule.node, .ip, .service])
  func failover(rule: TargetRule) throws {
    let fixture = try MachineFixture.consul(rules: SelectionRules(target: rule))
    var asked: [String] = []
    for (files, node) in Self.expected {
      for number in files {
        let request = try fixture.consul(Trace.failover(number).answer)
        asked.append(request.url)
        #expect(fixture.node == node, "after \(number).http")
        #expect(fixture.status.state == .current)
      }
    }
    #expect(asked[0] == "http://127.0.0.1:8500/v1/health/service/vault?stale")
    #expect(asked[1] == "http://127.0.0.1:8500/v1/health/service/vault?stale&index=24&wait=10000ms")
    #expect(asked[21].hasSuffix("&index=51&wait=10000ms"))
    #expect(fixture.logged.lines(containing: "active vault node changed").count == 7)
  }

  @Test("The same failover in one instant: every answer is acted on when it comes")
  func unhurried() throws {
    let fixture = try MachineFixture.consul()
    for number in 1...7 { try fixture.consul(Trace.failover(number).answer) }
    #expect(fixture.clock.now.monotonic == .seconds(1000))
  }

  @Test("An error keeps the last node and says why", arguments: Trace.errors)
  func errors(name: String) throws {
    let fixture = try MachineFixture.consul()
    try fixture.consul(Trace.failover(1).answer)
    let trace = try Trace("errors/\(name).http")
    try fixture.consul(trace.answer)
    #expect(fixture.node == "vault-a")
    #expect(fixture.status.state == .silent)
    #expect(fixture.status.lastError?.contains("status \(trace.answer.status)") == true)
    try fixture.consul(Trace.failover(4).answer)
    #expect(fixture.node == "vault-b")
    #expect(fixture.status.state == .current)
    #expect(fixture.status.lastError == nil)
  }

  @Test("An empty list that may be filtered says nothing of the node that was there, and says why")
  func filtered() throws {
    let fixture = try MachineFixture.consul()
    try fixture.consul(Trace.failover(1).answer)
    try fixture.consul(Trace("errors/anonymous-filtered.http").answer)
    fixture.clock.advance(by: .seconds(60))
    _ = fixture.due()
    #expect(fixture.node == "vault-a")
    #expect(fixture.status.state == .silent)
    let note = "no node visible; the token needs service:read and node:read"
    #expect(fixture.status.lastError == note)
    #expect(fixture.logged.lines(containing: note).count == 1)
  }
}

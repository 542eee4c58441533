@testable import Discovery
import Redirect
import Testing

@Suite("Consul's word, checked with the node itself")
struct VerificationTests {
  private static let rules = SelectionRules(scheme: .https)

  private func fixture(staleLimit: Duration = .seconds(300)) throws -> MachineFixture {
    try MachineFixture.consul(rules: Self.rules, staleLimit: staleLimit, verifies: true)
  }

  private func standby(_ name: String) -> String { entry(name, tags: #"["standby"]"#) }

  @Test("A new target is adopted only when it says 200 itself")
  func adoption() throws {
    let fixture = try fixture()
    try fixture.consul(consulAnswer(entry("a") + "," + standby("b")))
    #expect(fixture.node == nil)
    fixture.probes(["a": 429, "b": 429])
    #expect(fixture.node == nil)
    fixture.clock.advance(by: .milliseconds(300))
    fixture.probes(["a": 200, "b": 429])
    #expect(fixture.node == "a")
  }

  @Test("In a split the one that answers 200 wins, whatever the registrations' age")
  func split() throws {
    let fixture = try fixture()
    try fixture.consul(consulAnswer(entry("a", modifyIndex: 99) + "," + entry("b", modifyIndex: 1)))
    fixture.probes(["a": 429, "b": 200])
    #expect(fixture.node == "b")
    #expect(fixture.logged.lines(containing: "several nodes are active").count == 1)
  }

  @Test("While the follower is not ready, an incumbent that still says 200 stays")
  func lag() throws {
    let fixture = try fixture()
    try fixture.consul(consulAnswer(entry("a") + "," + standby("b")))
    fixture.probes(["a": 200, "b": 429])
    fixture.clock.advance(by: .milliseconds(25))
    try fixture.consul(consulAnswer(standby("a") + "," + entry("b")))
    #expect(fixture.node == "a")
    fixture.probes(["a": 429, "b": 429])
    #expect(fixture.node == nil)
    fixture.clock.advance(by: .milliseconds(300))
    fixture.probes(["a": 429, "b": 200])
    #expect(fixture.node == "b")
  }

  @Test(
    "An incumbent that Consul still names",
    arguments: [(429, nil), (503, nil), (nil, "a"), (502, "a")] as [(Int?, String?)])
  func incumbent(status: Int?, expected: String?) throws {
    let fixture = try fixture()
    try fixture.consul(consulAnswer(entry("a") + "," + standby("b")))
    fixture.probes(["a": 200, "b": 429])
    fixture.clock.advance(by: .seconds(2))
    var states = ["b": 429]
    states["a"] = status
    fixture.probes(states)
    #expect(fixture.node == expected)
  }

  @Test("Consul's tags lag: who says 200 itself is adopted at once, tagged standby or not")
  func tagsLag() throws {
    let fixture = try fixture()
    try fixture.consul(consulAnswer(entry("a") + "," + standby("b")))
    fixture.probes(["a": 200, "b": 429])
    fixture.clock.advance(by: .seconds(2))
    fixture.probes(["a": 429, "b": 200])
    #expect(fixture.node == "b")
    // And the same while Consul says that nobody is active.
    try fixture.consul(consulAnswer(standby("a") + "," + standby("b")))
    fixture.clock.advance(by: .seconds(2))
    fixture.probes(["a": 200, "b": 429])
    #expect(fixture.node == "a")
  }

  @Test(
    "The agent of the active node restarts: as long as the node says 200 itself it stays",
    arguments: [#"[{"CheckID":"serfHealth","Status":"critical"}]"#, nil] as [String?])
  func agentRestart(checks: String?) throws {
    let fixture = try fixture()
    try fixture.consul(consulAnswer(entry("a") + "," + standby("b")))
    fixture.probes(["a": 200, "b": 429])
    let rest = checks.map { entry("a", checks: $0) + "," } ?? ""
    try fixture.consul(consulAnswer(rest + standby("b")))
    for _ in 0..<100 {
      fixture.clock.advance(by: .seconds(1))
      fixture.probes(["a": 200, "b": 429])
      #expect(fixture.node == "a")
    }
    fixture.clock.advance(by: .seconds(1))
    fixture.probes(["b": 429])
    #expect(fixture.node == nil)
  }

  @Test(
    "Maintenance is an operator's word, and goes before the node's",
    arguments: ["_node_maintenance", "_service_maintenance:vault:a"])
  func maintenance(check: String) throws {
    let fixture = try fixture()
    try fixture.consul(consulAnswer(entry("a") + "," + standby("b")))
    fixture.probes(["a": 200, "b": 429])
    let checks = #"[{"CheckID":"\#(check)","Status":"critical"}]"#
    try fixture.consul(consulAnswer(entry("a", checks: checks) + "," + standby("b")))
    #expect(fixture.node == nil)
    #expect(fixture.status.nodes.first?.reason == "check \(check) is critical")
  }

  @Test("A new active node that is not allowed keeps the old one only until that one denies it")
  func notAllowed() throws {
    let fixture = try MachineFixture.consul(
      rules: Self.rules, targets: TargetGuard(allowed: [try TargetPattern("vault-*")]),
      verifies: true)
    try fixture.consul(consulAnswer(entry("vault-a") + "," + standby("evil")))
    fixture.probes(["vault-a": 200])
    try fixture.consul(consulAnswer(standby("vault-a") + "," + entry("evil")))
    #expect(fixture.node == "vault-a")
    #expect(fixture.due().allSatisfy { $0.request.host != "evil" })
    fixture.clock.advance(by: .seconds(1))
    fixture.probes(["vault-a": 429])
    #expect(fixture.node == nil)
  }

  @Test("A node that cannot be trusted is not taken, and everybody is told why")
  func untrusted() throws {
    let fixture = try fixture()
    try fixture.consul(consulAnswer(entry("a") + "," + standby("b")))
    for _ in 0..<3 {
      for (question, request) in fixture.due() where question != .consul {
        let isA = request.host == "a"
        fixture.machine.take(
          isA
            ? .failure(OutboundFailure(kind: .tls, reason: "self-signed certificate"))
            : .success(vaultAnswer(429)), to: question, now: fixture.clock.now)
      }
      fixture.clock.advance(by: .seconds(2))
    }
    #expect(fixture.node == nil)
    let reason = "untrusted: self-signed certificate"
    #expect(fixture.status.lastError == "no node is taken: \(reason)")
    #expect(fixture.status.nodes.map(\.reason) == [reason, "it says that it is standby"])
    let lines = fixture.logged.lines(containing: "warning a vault node cannot be taken")
    #expect(lines == ["warning a vault node cannot be taken node=a reason=\(reason)"])
    fixture.metrics.update { #expect($0.refusals[.tls] == 1) }
    let table = NodeTable(fixture.machine)
    #expect(table.rows[0].verdict == "no: \(reason)")
    #expect(table.reason == "no node is taken: \(reason)")
  }

  @Test(
    "While Consul is silent the nodes' own word counts, and the stale limit from the last of it; again and again"
  )
  func silence() throws {
    let fixture = try fixture(staleLimit: .seconds(60))
    try fixture.consul(consulAnswer(entry("a") + "," + standby("b")))
    fixture.probes(["a": 200, "b": 429])
    try fixture.consulFails()
    fixture.clock.advance(by: .seconds(2))
    fixture.probes(["a": 429, "b": 200])
    #expect(fixture.node == "b")
    for _ in 0..<100 {
      fixture.clock.advance(by: .seconds(2))
      fixture.probes(["a": 429, "b": 200])
    }
    #expect(fixture.node == "b")
    for _ in 0..<2 {
      // Nobody answers any more.
      for second in 0..<60 {
        #expect(fixture.node == "b", "second \(second)")
        fixture.clock.advance(by: .seconds(1))
        fixture.probes([:])
      }
      #expect(fixture.node == nil)
      #expect(fixture.status.state == .expired)
      fixture.clock.advance(by: .seconds(2))
      fixture.probes(["b": 200])
      #expect(fixture.node == "b")
    }
  }

  @Test("It has to be able to verify something")
  func impossible() throws {
    let access = try ConsulAccess(address: "a:1", environment: Environment([:]))
    var careless = OutboundSecurity()
    careless.verifies = false
    for (rules, security) in [
      (SelectionRules(scheme: .http), OutboundSecurity()), (Self.rules, careless),
    ] {
      let error = try #require(throws: DiscoveryError.self) {
        try ConsulSource(
          access: access, rules: rules, verification: ProbeSettings(security: security))
      }
      #expect(error.message.hasPrefix("--verify-target: "))
    }
  }
}

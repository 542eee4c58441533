@testable import Discovery
import Redirect
import Testing

@Suite("Consul's word, checked with the node itself")
struct VerificationTests {
  private static let rules = SelectionRules(scheme: .https)

  private func fixture(staleLimit: Duration = .seconds(300)) throws -> WatchFixture {
    try WatchFixture.consul(rules: Self.rules, staleLimit: staleLimit, verifies: true)
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

  @Test("No active node in Consul's answer is a fact, even while a node says 200")
  func fact() throws {
    let fixture = try fixture()
    try fixture.consul(consulAnswer(entry("a") + "," + standby("b")))
    fixture.probes(["a": 200, "b": 429])
    try fixture.consul(consulAnswer(standby("a") + "," + standby("b")))
    #expect(fixture.node == nil)
  }

  @Test("While Consul is silent the nodes' own word moves us, beyond the stale limit too")
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
    fixture.probes([:])
    fixture.clock.advance(by: .seconds(2))
    fixture.probes([:])
    fixture.probes([:])
    #expect(fixture.node == nil)
    #expect(fixture.status.state == .expired)
    fixture.clock.advance(by: .seconds(2))
    fixture.probes(["a": 200])
    #expect(fixture.node == "a")
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

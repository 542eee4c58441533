@testable import Discovery
import Redirect
import Testing

@Suite("A node that Consul lists no more, where nodes are not asked")
struct VanishTests {
  private func fixture() throws -> MachineFixture {
    let fixture = try MachineFixture.consul()
    try fixture.consul(consulAnswer(entry("a") + "," + entry("b", tags: #"["standby"]"#)))
    #expect(fixture.node == "a")
    return fixture
  }

  private let rest = consulAnswer(entry("b", tags: #"["standby"]"#), index: "8")

  @Test("It stays for the grace, whatever Consul repeats meanwhile, and then goes by itself")
  func grace() throws {
    let fixture = try fixture()
    try fixture.consul(rest)
    let vanished = fixture.clock.now.monotonic
    while fixture.clock.now.monotonic < vanished + .seconds(4) {
      #expect(fixture.node == "a")
      try fixture.consul(rest)
    }
    fixture.clock.advance(by: vanished + .milliseconds(4999) - fixture.clock.now.monotonic)
    _ = fixture.due()
    #expect(fixture.node == "a")
    #expect(try #require(fixture.machine.nextAt) <= vanished + .seconds(5))
    fixture.clock.advance(by: .milliseconds(1))
    _ = fixture.due()
    #expect(fixture.node == nil)
  }

  @Test("It is back within the grace: the next time begins afresh")
  func back() throws {
    let fixture = try fixture()
    for _ in 0..<3 {
      try fixture.consul(rest)
      fixture.clock.advance(by: .seconds(4))
      try fixture.consul(consulAnswer(entry("a"), index: "9"))
      #expect(fixture.node == "a")
    }
  }

  @Test("Another one is active: there is no grace")
  func another() throws {
    let fixture = try fixture()
    try fixture.consul(consulAnswer(entry("b"), index: "8"))
    #expect(fixture.node == "b")
  }

  @Test(
    "Whoever is listed and not active, or critical, has no grace",
    arguments: [
      (#"["standby"]"#, "[]"), ("[]", "[]"),
      (#"["active"]"#, #"[{"CheckID":"serfHealth","Status":"critical"}]"#),
    ])
  func listed(tags: String, checks: String) throws {
    let fixture = try fixture()
    try fixture.consul(consulAnswer(entry("a", tags: tags, checks: checks), index: "8"))
    #expect(fixture.node == nil)
  }

  @Test("While Consul is silent the grace does not end: that may be the agent which restarts")
  func silence() throws {
    let fixture = try fixture()
    try fixture.consul(rest)
    try fixture.consulFails()
    fixture.clock.advance(by: .seconds(20))
    _ = fixture.due()
    #expect(fixture.node == "a")
    try fixture.consul(consulAnswer(entry("a"), index: "9"))
    #expect(fixture.node == "a")
  }
}

@testable import Discovery
import Redirect
import Sys
import Testing

@Suite("Where tokens may go")
struct TargetGuardTests {
  @Test(
    "Patterns of --allow-target",
    arguments: [
      ("*.vault.example.com", "a.vault.example.com", true),
      ("*.vault.example.com", "A.VAULT.example.COM", true),
      ("*.vault.example.com", "vault.example.com", false),
      ("*.vault.example.com", "a.vault.example.com.evil.org", false),
      ("*.vault.example.com", "a.b.vault.example.com", false),
      ("*.*.example.com", "a.vault.example.com", true), ("*.*.example.com", "a.example.com", false),
      ("vault-*.example.com", "vault-.example.com", true),
      ("vault?example.com", "vault.example.com", false),
      ("*", "a.b", false), ("*.x*", "a.b.x1", false), ("*a*b.c", "a1b2a3b.c", true),
      ("vault-?", "vault-a", true), ("vault-?", "vault-10", false), ("vault-?", "vault-", false),
      ("vault-a", "vault-a", true), ("vault-a", "vault-aa", false), ("*", "anything", true),
      ("*a*b", "xaxxb", true), ("*a*b", "xbxa", false), ("10.0.0.0/8", "10.1.2.3", true),
      ("10.0.0.0/8", "11.1.2.3", false), ("10.0.0.0/8", "10.example.com", false),
      ("10.0.0.7", "10.0.0.7", true), ("2001:db8::/32", "2001:db8::1", true),
      ("2001:db8::/32", "2001:db9::1", false), ("10.*", "10.0.0.1", false),
      ("10.*.*.*", "10.0.0.1", true),
    ])
  func patterns(pattern: String, host: String, matches: Bool) throws {
    #expect(try TargetPattern(pattern).matches(host) == matches)
  }

  @Test(
    "Patterns that are none",
    arguments: ["", "10.0.0.0/33", "a/b", "https://a", "a b", "[::1]x", "a,b"])
  func badPatterns(text: String) throws {
    let error = try #require(throws: DiscoveryError.self) { try TargetPattern(text) }
    #expect(error.message.hasPrefix("--allow-target: "))
  }

  @Test("A pattern of many stars ends in time")
  func stars() throws {
    let pattern = try TargetPattern(String(repeating: "*a", count: 120) + "b")
    #expect(!pattern.matches(String(repeating: "a", count: 253)))
  }

  @Test(
    "A name that has been looked up is judged by its addresses",
    arguments: [
      ("10.0.0.9", ["10.0.0.9"], true), ("10.0.0.9", ["10.0.0.8", "10.0.0.9"], true),
      // This machine's name, of another address of it, where Vault may listen.
      ("10.0.0.9", ["10.0.0.8"], false),
      // What its own file of hosts says, for itself alone.
      ("10.0.0.9", ["127.0.1.1"], true), ("0.0.0.0", ["127.0.1.1"], true),
      ("0.0.0.0", ["10.0.0.9"], true), ("0.0.0.0", ["10.0.0.7"], false),
      ("127.0.0.1", ["127.0.0.1"], true), ("127.0.0.1", ["10.0.0.9"], false),
      ("::", ["2001:db8::9"], true),
    ])
  func found(listener: String, addresses: [String], isOurs: Bool) throws {
    var targets = TargetGuard(
      listeners: [try #require(SocketAddress(numeric: listener, port: 8200))],
      localHosts: ["me.example.com", "10.0.0.9", "2001:db8::9"])
    let target = try #require(
      RedirectTarget(scheme: .https, host: "me.example.com", port: 8200))
    #expect(targets.wantsAddresses(of: target))
    targets.found["me.example.com"] = addresses.compactMap { SocketAddress(numeric: $0, port: 0) }
    #expect((targets.refusal(of: target) != nil) == isOurs)
  }

  @Test("Only a name at a listener's port is looked up")
  func wants() throws {
    let targets = TargetGuard(
      listeners: [try #require(SocketAddress(numeric: "10.0.0.9", port: 8200))])
    for (host, port, wants) in [
      ("a.example.com", 8200, true), ("a.example.com", 8201, false), ("10.0.0.9", 8200, false),
    ] as [(String, UInt16, Bool)] {
      let target = try #require(RedirectTarget(scheme: .https, host: host, port: port))
      #expect(targets.wantsAddresses(of: target) == wants)
    }
  }

  @Test(
    "Our own listeners",
    arguments: [
      ("10.0.0.1", "10.0.0.1", UInt16(8200), true), ("10.0.0.1", "10.0.0.2", 8200, false),
      ("10.0.0.1", "10.0.0.1", 8201, false), ("0.0.0.0", "10.0.0.9", 8200, true),
      ("0.0.0.0", "10.0.0.8", 8200, false), ("::", "127.0.0.1", 8200, true),
      ("::", "me.example.com", 8200, true), ("::", "ME.example.com", 8200, true),
      ("::", "localhost", 8200, true), ("::", "you.example.com", 8200, false),
      ("::", "me.example.com", 443, false), ("127.0.0.1", "me.example.com", 8200, false),
      ("127.0.0.1", "localhost", 8200, true), ("::1", "localhost", 8200, true),
      ("10.0.0.9", "me.example.com", 8200, true), ("10.0.0.9", "localhost", 8200, false),
    ])
  func listeners(listener: String, host: String, port: UInt16, isOurs: Bool) throws {
    let targets = TargetGuard(
      listeners: [try #require(SocketAddress(numeric: listener, port: 8200))],
      localHosts: ["me.example.com", "10.0.0.9"])
    let target = try #require(RedirectTarget(scheme: .https, host: host, port: port))
    #expect((targets.refusal(of: target) != nil) == isOurs)
  }

  @Test("This machine has a name and a loopback address")
  func localHosts() {
    let hosts = LocalHosts.current()
    #expect(hosts.names.contains("127.0.0.1") && hosts.names.count > 1)
    #expect(hosts.failure == nil)
  }

  @Test("A target that becomes this machine's own is no longer served", arguments: [false, true])
  func moved(verifies: Bool) throws {
    let listener = try #require(SocketAddress(numeric: "0.0.0.0", port: 8200))
    let fixture = try MachineFixture.consul(
      rules: SelectionRules(target: .ip, scheme: .https),
      targets: TargetGuard(listeners: [listener]), verifies: verifies)
    let answer = consulAnswer(entry("vault-a", nodeAddress: "10.0.0.7"))
    try fixture.consul(answer)
    fixture.probes(["10.0.0.7": 200])
    #expect(fixture.node == "vault-a")
    fixture.machine.localHosts = ["10.0.0.8"]
    #expect(fixture.node == "vault-a")
    fixture.machine.localHosts = ["10.0.0.7", "10.0.0.8"]
    #expect(fixture.node == nil)
    try fixture.consul(answer)
    #expect(fixture.node == nil)
    fixture.machine.localHosts = ["10.0.0.8"]
    try fixture.consul(answer)
    fixture.probes(["10.0.0.7": 200])
    #expect(fixture.node == "vault-a")
  }

  private func fixture() throws -> MachineFixture {
    try MachineFixture.consul(targets: TargetGuard(allowed: [try TargetPattern("vault-*")]))
  }

  @Test("A refused target leaves the choice to the next, and is logged once and counted")
  func next() throws {
    let fixture = try fixture()
    let evil = entry("evil", modifyIndex: 99)
    for _ in 0..<3 { try fixture.consul(consulAnswer(evil + "," + entry("vault-a"))) }
    #expect(fixture.node == "vault-a")
    #expect(fixture.logged.lines(containing: "refused as target").count == 1)
    #expect(fixture.logged.lines(containing: "evil:8200 is outside --allow-target").count == 1)
    fixture.metrics.update { #expect($0.refusedTargets == 1) }
  }

  @Test(
    "A new active node that is refused keeps the old one only as long as that one does not deny it")
  func last() throws {
    let fixture = try fixture()
    let evil = entry("evil", modifyIndex: 99)
    try fixture.consul(consulAnswer(entry("vault-a")))
    try fixture.consul(consulAnswer(evil + "," + entry("vault-a")))
    #expect(fixture.node == "vault-a")
    try fixture.consul(consulAnswer(evil + "," + entry("vault-a", tags: #"["standby"]"#)))
    #expect(fixture.node == nil)
    #expect(fixture.status.nodes.map(\.reason).first == "evil:8200 is outside --allow-target")
  }

  @Test(
    "Nor does it keep one that is dead or gone",
    arguments: [#"[{"CheckID":"serfHealth","Status":"critical"}]"#, nil] as [String?])
  func lastButDead(checks: String?) throws {
    let fixture = try fixture()
    let evil = entry("evil", modifyIndex: 99)
    try fixture.consul(consulAnswer(entry("vault-a")))
    let old = checks.map { "," + entry("vault-a", checks: $0) } ?? ""
    try fixture.consul(consulAnswer(evil + old))
    fixture.clock.advance(by: .seconds(5))
    _ = fixture.due()
    #expect(fixture.node == nil)
  }

  @Test("A probed node that is refused is never published")
  func probed() throws {
    let address = try VaultAddress("https://127.0.0.1:8200")
    let source = try ProbeSource(addresses: [address], security: OutboundSecurity())
    let listener = try #require(SocketAddress(numeric: "::", port: 8200))
    let fixture = MachineFixture(
      DiscoveryConfiguration(
        source: .vault(source), targets: TargetGuard(listeners: [listener]), version: "1"))
    fixture.probes(["127.0.0.1": 200])
    #expect(fixture.node == nil)
    #expect(fixture.logged.lines(containing: "is this redirector's own listener").count == 1)
  }
}

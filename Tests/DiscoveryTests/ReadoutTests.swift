@testable import Discovery
import Redirect
import Telemetry
import Testing

@Suite("What can be read of discovery")
struct ReadoutTests {
  @Test("The metrics of a watch that has seen a change, a failure and a split")
  func metrics() throws {
    let fixture = try MachineFixture.consul()
    try fixture.consul(consulAnswer(entry("a"), index: "41"))
    var answer = consulAnswer(entry("b") + "," + entry("c", modifyIndex: 9), index: "42")
    answer.fields["x-consul-knownleader"] = "true"
    answer.fields["x-consul-lastcontact"] = "250"
    try fixture.consul(answer)
    try fixture.consulFails()
    try fixture.consul(OutboundAnswer(status: 500))
    let registry = MetricsRegistry()
    registry.register { [metrics = fixture.metrics, cell = fixture.cell] in
      metrics.families(cell.load())
    }
    let text = String(decoding: registry.render(), as: UTF8.self)
    for line in [
      #"active_node_info{target="http://b:8200",node="b"} 1"#, "active_node_known 1",
      "active_node_changes_total 2", "active_node_last_change_timestamp_seconds 1795301377",
      "active_candidates 2", #"vault_nodes{state="active"} 2"#,
      #"discovery_requests_total{source="consul",result="ok"} 2"#,
      #"discovery_requests_total{source="consul",result="status"} 1"#,
      #"discovery_requests_total{source="consul",result="unreachable"} 1"#,
      "discovery_last_success_timestamp_seconds 1795301377", "discovery_index 42",
      "consul_known_leader 1", "consul_last_contact_seconds 0.25", "discovery_stale 1",
    ] {
      #expect(text.contains("\nvault_redirector_\(line)\n"), "\(line)")
    }
  }

  @Test("The metrics of probes")
  func probeMetrics() throws {
    let fixture = try MachineFixture.probes(["a", "b"])
    fixture.probes(["a": 503])
    let registry = MetricsRegistry()
    registry.register { [metrics = fixture.metrics, cell = fixture.cell] in
      metrics.families(cell.load())
    }
    let text = String(decoding: registry.render(), as: UTF8.self)
    for line in [
      #"probe_status_code{node="https://a:8200"} 503"#,
      #"probe_status_code{node="https://b:8200"} 0"#, #"vault_nodes{state="sealed"} 1"#,
      #"vault_nodes{state="unreachable"} 1"#, "active_node_known 0", "discovery_stale 0",
    ] {
      #expect(text.contains("\nvault_redirector_\(line)\n"), "\(line)")
    }
    #expect(!text.contains("consul_known_leader"))
  }

  @Test("The table of nodes, for a person and for a program")
  func table() throws {
    let fixture = try MachineFixture.consul(rules: SelectionRules(scheme: .https))
    try fixture.consul(Trace.failover(10).answer)
    let table = NodeTable(fixture.machine)
    #expect(table.rows.map(\.isChosen) == [true, false, false])
    let lines = table.text.split(separator: "\n")
    #expect(lines.count == 5)
    #expect(lines[0].hasPrefix("NODE     ADDRESS       ROLE      CHECKS "))
    #expect(lines[1].hasPrefix("vault-a  vault-a:8200  active    2 passing "))
    #expect(lines[1].hasSuffix("  chosen: the newest registration of those that could be"))
    #expect(lines[2].hasSuffix("-sealed-check is critical"))
    #expect(lines[3].hasSuffix("  no: it has no tag active"))
    #expect(lines[4] == "target: https://vault-a:8200")
    #expect(table.json.hasPrefix(#"{"target":"https://vault-a:8200","reason":null,"nodes":[{"#))
    #expect(table.json.hasSuffix(#""chosen":false}]}"# + "\n"))
  }

  @Test("Asking once: Consul answers, every agent fails, a node is probed")
  func ask() throws {
    let log = LogCapture().log
    let consul = try StandIn([.consul(entry("a"), index: 1)])
    let found = NodeTable.ask(try configuration(consul.authority), log: log)
    #expect(found.target == "http://a:8200")
    #expect(found.reason == nil)
    let failed = NodeTable.ask(try configuration("127.0.0.1:1,127.0.0.1:1"), log: log)
    #expect(failed.target == nil)
    #expect(failed.reason?.hasPrefix("127.0.0.1:1: ") == true)
    #expect(failed.text.hasPrefix("no target: 127.0.0.1:1: "))
    let empty = try StandIn([.consul("", index: 1)])
    #expect(
      NodeTable.ask(try configuration(empty.authority), log: log).reason
        == "the service has no instance")
    let sealed = try StandIn([.vault(503)])
    let source = try ProbeSource(
      addresses: [try VaultAddress("http://\(sealed.authority)")], security: OutboundSecurity())
    let probed = NodeTable.ask(
      DiscoveryConfiguration(source: .vault(source), version: "1"), log: log)
    #expect(probed.reason == "no node is active")
    #expect(probed.rows.map(\.verdict) == ["no: it says that it is sealed"])
  }

  private func configuration(_ address: String) throws -> DiscoveryConfiguration {
    let access = try ConsulAccess(address: address, environment: Environment([:]))
    return DiscoveryConfiguration(
      source: .consul(try ConsulSource(access: access, rules: SelectionRules())), version: "1")
  }
}

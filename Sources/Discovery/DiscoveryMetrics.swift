import Redirect
import Synchronization
import Sys
import Telemetry

/// What discovery counts: written by its thread, read by whoever renders the metrics.
final class DiscoveryMetrics: Sendable {
  struct Values {
    /// By source and result.
    var requests: [RequestKey: UInt64] = [:]
    /// The time that answered requests took, by source.
    var seconds: [DiscoveryStatus.Source: Double] = [:]
    /// By whether there was an answer.
    var lookups: [Bool: UInt64] = [:]
    var changes: UInt64 = 0
    var candidates = 0
    var refusedTargets: UInt64 = 0
    /// How often a node was refused for another reason than before.
    var refusals: [Refusal.Reason: UInt64] = [:]
    var knowsLeader: Bool?
    var lastContact: Duration?
    /// The last status of each probed node; 0 for no answer.
    var probeStatus: [(node: String, status: Int)] = []
  }

  struct RequestKey: Hashable {
    let source: DiscoveryStatus.Source
    let result: String
  }

  private let values = Mutex(Values())

  func update(_ body: (inout Values) -> Void) {
    values.withLock { body(&$0) }
  }

  func count(
    _ result: Result<OutboundAnswer, OutboundFailure>, of source: DiscoveryStatus.Source,
    took duration: Duration
  ) {
    let name =
      switch result {
      case .success(let answer): answer.status == 200 || source == .probe ? "ok" : "status"
      case .failure(let failure): failure.kind.rawValue
      }
    update { values in
      values.requests[RequestKey(source: source, result: name), default: 0] += 1
      if case .success = result {
        values.seconds[source, default: 0] += duration.decimalSeconds
      }
    }
  }

  func count(_ answer: NameAnswer) {
    let isAnswer = if case .success = answer { true } else { false }
    update { $0.lookups[isAnswer, default: 0] += 1 }
  }

  /// Everything, with the labels that domain.md §7.2 names.
  func families(_ snapshot: ActiveNodeSnapshot) -> [MetricFamily] {
    let values = values.withLock { $0 }
    return nodeFamilies(snapshot, values) + sourceFamilies(snapshot.status, values)
  }

  private func nodeFamilies(_ snapshot: ActiveNodeSnapshot, _ values: Values) -> [MetricFamily] {
    let info = snapshot.node.map { node in
      MetricSample(1, [("target", node.target.origin), ("node", node.name)])
    }
    var states: [String: Int] = [:]
    for node in snapshot.status.nodes { states[node.state, default: 0] += 1 }
    return [
      MetricFamily(
        "active_node_info", .gauge, help: "The node that clients are sent to.",
        info.map { [$0] } ?? []),
      MetricFamily(
        "active_node_known", .gauge, help: "1 while an active node is known.",
        [MetricSample(snapshot.node == nil ? 0 : 1)]),
      MetricFamily(
        "active_node_changes_total", .counter, help: "How often the active node changed.",
        [MetricSample(Double(values.changes))]),
      MetricFamily(
        "active_node_last_change_timestamp_seconds", .gauge,
        help: "When the active node changed last.",
        snapshot.since.map { [MetricSample(Double($0.epochSeconds))] } ?? []),
      MetricFamily(
        "active_candidates", .gauge, help: "Nodes that could be chosen; more than 1 is a split.",
        [MetricSample(Double(values.candidates))]),
      MetricFamily(
        "vault_nodes", .gauge, help: "Nodes by what is known of them.",
        states.sorted { $0.key < $1.key }.map {
          MetricSample(Double($0.value), [("state", $0.key)])
        }
      ),
      MetricFamily(
        "probe_status_code", .gauge, help: "The last status of sys/health; 0 for no answer.",
        values.probeStatus.map { MetricSample(Double($0.status), [("node", $0.node)]) }),
      MetricFamily(
        "discovery_refused_targets_total", .counter,
        help: "Active nodes that clients must not be sent to.",
        [MetricSample(Double(values.refusedTargets))]),
      MetricFamily(
        "discovery_refusals_total", .counter,
        help: "How often a node was not taken, and for another reason than before.",
        Refusal.Reason.allCases.map {
          MetricSample(Double(values.refusals[$0] ?? 0), [("reason", $0.rawValue)])
        }),
    ]
  }

  private func sourceFamilies(_ status: DiscoveryStatus, _ values: Values) -> [MetricFamily] {
    let requests = values.requests.sorted {
      ($0.key.source.rawValue, $0.key.result) < ($1.key.source.rawValue, $1.key.result)
    }
    let isStale = status.state == .silent || status.state == .expired
    var families = [
      MetricFamily(
        "discovery_requests_total", .counter, help: "Questions asked, by what became of them.",
        requests.map {
          MetricSample(
            Double($0.value), [("source", $0.key.source.rawValue), ("result", $0.key.result)])
        }),
      MetricFamily(
        "discovery_request_duration_seconds_total", .counter,
        help: "The time that answered questions took; Consul's include its waiting.",
        values.seconds.sorted { $0.key.rawValue < $1.key.rawValue }.map {
          MetricSample($0.value, [("source", $0.key.rawValue)])
        }),
      MetricFamily(
        "discovery_lookups_total", .counter,
        help: "Names that were looked up, by what became of it.",
        [true, false].map { isAnswer in
          MetricSample(
            Double(values.lookups[isAnswer] ?? 0), [("result", isAnswer ? "ok" : "error")])
        }),
      MetricFamily(
        "discovery_last_success_timestamp_seconds", .gauge, help: "When the source last answered.",
        status.lastSuccess.map { [MetricSample(Double($0.epochSeconds))] } ?? []),
      MetricFamily(
        "discovery_stale", .gauge, help: "1 while the source does not answer.",
        [MetricSample(isStale ? 1 : 0)]),
    ]
    guard status.source == .consul else { return families }
    families += [
      MetricFamily(
        "discovery_index", .gauge, help: "Consul's index of the last answer.",
        status.index.map { [MetricSample(Double($0))] } ?? []),
      MetricFamily(
        "consul_known_leader", .gauge, help: "1 while the answering server knows a leader.",
        values.knowsLeader.map { [MetricSample($0 ? 1 : 0)] } ?? []),
      MetricFamily(
        "consul_last_contact_seconds", .gauge,
        help: "How long ago the answering server had heard of its leader.",
        values.lastContact.map { [MetricSample($0.decimalSeconds)] } ?? []),
    ]
    return families
  }
}

import Redirect
import Telemetry

/// Says what discovery found, and to everybody: publishes, reports for health, counts, and logs each change once.
///
/// The log comes last: who reads a line finds health and metrics agree with it.
final class Publisher {
  private let cell: ActiveNodeCell
  private let log: Log
  private let metrics: DiscoveryMetrics
  private(set) var status: DiscoveryStatus
  private var lastForbidden: [String] = []
  private var hasSeenSeveral = false

  init(
    source: DiscoveryStatus.Source, cell: ActiveNodeCell, log: Log, metrics: DiscoveryMetrics
  ) {
    self.cell = cell
    self.log = log
    self.metrics = metrics
    status = DiscoveryStatus(source: source)
  }

  var published: ActiveNode? { cell.load().node }

  func nodes(_ nodes: [NodeReport], index: UInt64?) {
    status.nodes = nodes
    status.index = index
    cell.report(status)
  }

  /// The source has answered, at `time`. `note` says what is odd about the answer.
  func answered(at time: Moment, note: String?) {
    let old = status
    status.state = .current
    status.lastSuccess = time
    status.lastError = note
    cell.report(status)
    if old.state == .silent || old.state == .expired {
      log.warning(isConsul ? "consul answers again" : "a vault node answers again")
    }
    if let note, note != old.lastError { log.warning("\(note)") }
  }

  /// The source has failed: what was known stays in force.
  func fellSilent(_ reason: String) {
    let isNew = status.state == .starting || status.state == .current
    if isNew { status.state = .silent }
    status.lastError = sanitized(reason)
    cell.report(status)
    let message: Log.Message = isConsul ? "consul does not answer" : "no vault node answers"
    if isNew {
      let kept = published?.target.origin ?? "no node"
      log.warning(message, metadata: ["reason": "\(reason)", "kept": "\(kept)"])
    } else {
      log.debug(message, metadata: ["reason": "\(reason)"])
    }
  }

  /// The source has been silent for too long.
  func expired() {
    status.state = .expired
    cell.report(status)
    log.error(
      "silent for longer than the stale limit, no node is served any more",
      metadata: ["source": "\(status.source.rawValue)", "reason": "\(status.lastError ?? "")"])
    publish(nil)
  }

  /// What Consul's answer says beside the choice.
  func selected(_ selection: NodeSelection) {
    metrics.update { $0.candidates = selection.candidates }
    let isSeveral = selection.candidates > 1
    if isSeveral, !hasSeenSeveral {
      let names = selection.candidateNodes.map(\.name).joined(separator: " ")
      log.warning(
        "several nodes are active in consul, the newest registration goes first",
        metadata: ["nodes": "\(names)", "first": "\(selection.chosen?.name ?? "")"])
    }
    hasSeenSeveral = isSeveral
    forbidden(selection.forbidden)
  }

  /// Clients must not be sent to these active nodes; each set of them is logged once.
  func forbidden(_ reasons: [String]) {
    defer { lastForbidden = reasons }
    guard !reasons.isEmpty, reasons != lastForbidden else { return }
    metrics.update { $0.refusedTargets += UInt64(reasons.count) }
    log.error(
      "an active node is refused as target",
      metadata: ["reason": "\(reasons.joined(separator: "; "))"])
  }

  func nodeChanged(_ name: String, from old: VaultState, to new: VaultState) {
    log.info(
      "vault node changed state",
      metadata: ["node": "\(name)", "from": "\(old.name)", "to": "\(new.text)"])
  }

  func debug(_ text: String) {
    log.debug("\(text)")
  }

  func publish(_ node: ActiveNode?) {
    let old = published
    guard cell.publish(node) else { return }
    guard node != old else { return log.warning("no active vault node") }
    metrics.update { $0.changes += 1 }
    log.warning(
      "active vault node changed",
      metadata: [
        "from": "\(old?.target.origin ?? "none")", "to": "\(node?.target.origin ?? "none")",
        "node": "\(node?.name ?? "none")",
      ])
  }

  private var isConsul: Bool { status.source == .consul }
}

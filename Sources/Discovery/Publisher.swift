import Redirect
import Telemetry

/// Says what discovery found, and to everybody: publishes, reports for health, counts, and logs each change once.
///
/// The log comes last: who reads a line finds health and metrics agree with it.
final class Publisher {
  private let cell: ActiveNodeCell
  private let log: PacedLog
  private let metrics: DiscoveryMetrics
  private(set) var status: DiscoveryStatus
  /// What the source's last answer or failure says of itself.
  private var sourceNote: String?
  private var refusals: [RedirectTarget: Refusal] = [:]
  private var lastSelection: Selection?
  private var lastCatalogue: Catalogue?
  private var lastForbidden: [String] = []
  private var hasSeenSeveral = false
  /// A node, or that there is none, has been published.
  private(set) var hasPublished = false

  init(
    source: DiscoveryStatus.Source, cell: ActiveNodeCell, log: Log, metrics: DiscoveryMetrics
  ) {
    self.cell = cell
    self.log = PacedLog(log, time: cell.time)
    self.metrics = metrics
    status = DiscoveryStatus(source: source)
  }

  /// Who is published: nobody else publishes.
  private(set) var published: ActiveNode?

  /// The source has answered, at `time`. `note` says what is odd about the answer; `confirms` whether it says something of the node
  /// that is published.
  func answered(at time: Moment, note: String?, confirms: Bool = true) {
    let old = status
    status.state = .current
    status.lastSuccess = time
    if confirms { status.lastKnown = time }
    say(note)
    if old.state == .silent || old.state == .expired {
      log.warning(isConsul ? "consul answers again" : "a vault node answers again")
    }
    if let note, note != old.lastError { log.warning("\(note)") }
  }

  /// What was known is confirmed, although the source may be silent.
  func heard(at time: Moment) {
    status.lastKnown = time
    cell.report(status)
  }

  /// What a source that is asked did not say.
  enum Silence {
    /// It does not answer.
    case noAnswer
    /// Its answer hides nodes from us.
    case hidden
    /// Its answer is old.
    case old
  }

  /// The source has failed: what was known stays in force.
  func fellSilent(_ reason: String, _ silence: Silence = .noAnswer) {
    let isNew = status.state == .starting || status.state == .current
    if isNew { status.state = .silent }
    say(sanitized(reason))
    let message: Log.Message =
      switch silence {
      case .noAnswer: isConsul ? "consul does not answer" : "no vault node answers"
      case .hidden: "consul hides nodes"
      case .old: "consul's answers are old"
      }
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

  /// The state of everybody, as far as it is known: for health and metrics; whoever is refused for a new reason is told of once.
  func seen(_ selection: Selection, _ catalogue: Catalogue?, index: UInt64?) {
    status.index = index
    // Most answers say what the one before said.
    guard selection != lastSelection || catalogue != lastCatalogue else { return say(sourceNote) }
    (lastSelection, lastCatalogue) = (selection, catalogue)
    status.nodes = NodeReport.list(selection, catalogue)
    let candidates = selection.candidates
    metrics.update { values in
      values.candidates = candidates.count
      values.probeStatus = selection.known.filter { $0.opinion != .notAsked }
        .map { ($0.node.target.origin, $0.state.status) }
    }
    forbidden(selection)
    refused(selection)
    several(catalogue)
    say(sourceNote)
  }

  private func several(_ catalogue: Catalogue?) {
    let claiming = (catalogue?.distinct ?? []).filter { $0.registration == .active }
    let isSeveral = claiming.count > 1
    if isSeveral, !hasSeenSeveral {
      let names = claiming.map(\.name).joined(separator: " ")
      log.warning(
        "several nodes are active in consul, the newest registration goes first",
        metadata: ["nodes": "\(names)", "first": "\(claiming[0].name)"])
    }
    hasSeenSeveral = isSeveral
  }

  /// Clients must not be sent to these active nodes; each set of them is logged once.
  private func forbidden(_ selection: Selection) {
    let reasons = selection.forbidden
    defer { lastForbidden = reasons }
    guard !reasons.isEmpty, reasons != lastForbidden else { return }
    metrics.update { $0.refusedTargets += UInt64(reasons.count) }
    log.error(
      "an active node is refused as target",
      metadata: ["reason": "\(reasons.joined(separator: "; "))"])
  }

  /// Counts whoever is refused for a new reason, and warns of those whose own word should have counted and could not be had.
  private func refused(_ selection: Selection) {
    var new: [RedirectTarget: Refusal] = [:]
    for known in selection.known {
      guard let refusal = selection.refusal(of: known) else { continue }
      new[known.node.target] = refusal
      guard refusals[known.node.target]?.reason != refusal.reason else { continue }
      metrics.update { $0.refusals[refusal.reason, default: 0] += 1 }
      let isClaiming = known.registration == .active
      switch refusal.reason {
      case .tls, .unexpected:
        warn(known, refusal)
      case .silent where isClaiming:
        warn(known, refusal)
      default: break
      }
    }
    refusals = new
  }

  private func warn(_ known: Selection.Known, _ refusal: Refusal) {
    log.warning(
      "a vault node cannot be taken",
      metadata: ["node": "\(known.node.name)", "reason": "\(refusal.text)"])
  }

  /// Health's `last_error`: the source's own trouble, else why nobody is taken.
  private func say(_ note: String?) {
    sourceNote = note
    let refusal =
      published == nil
      ? refusals.values.filter { $0.reason != .denied && $0.reason != .registration }
        .map(\.text).min() : nil
    status.lastError = note ?? refusal.map { sanitized("no node is taken: \($0)") }
    cell.report(status)
  }

  func nodeChanged(_ name: String, from old: VaultState, to new: VaultState) {
    log.info(
      "vault node changed state",
      metadata: ["node": "\(name)", "from": "\(old.name)", "to": "\(new.text)"])
  }

  /// A name of `--vault-addr` was looked up.
  func lookedUp(_ host: String, _ change: VaultNames.Change) {
    if let failure = change.failure {
      log.warning(
        "a vault node's name cannot be looked up, the addresses that are known stay",
        metadata: ["name": "\(host)", "reason": "\(sanitized(failure))"])
    }
    if change.isBack {
      log.warning("a vault node's name can be looked up again", metadata: ["name": "\(host)"])
    }
    if let addresses = change.addresses {
      log.info(
        "a vault node's name has these addresses",
        metadata: ["name": "\(host)", "addresses": "\(addresses.joined(separator: " "))"])
    }
  }

  func debug(_ text: String) {
    log.debug("\(text)")
  }

  func publish(_ node: ActiveNode?) {
    let old = published
    published = node
    hasPublished = true
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

extension NodeReport {
  /// In Consul's order, and then those that it does not name; each with its own word, where it is asked.
  fileprivate static func list(_ selection: Selection, _ catalogue: Catalogue?) -> [NodeReport] {
    let all = Dictionary(selection.known.map { ($0.node.target, $0) }) { first, _ in first }
    func report(_ name: String, _ target: RedirectTarget?, _ role: String) -> NodeReport {
      let known = target.flatMap { all[$0] }
      let isAsked = known.map { $0.opinion != .notAsked } ?? false
      return NodeReport(
        name: name, address: target?.authority ?? "",
        state: isAsked ? known?.state.name ?? role : role,
        reason: known.flatMap(selection.refusal)?.text)
    }
    let registered = (catalogue?.nodes ?? []).map { node in
      var row = report(node.name, node.target, node.role)
      if node.target == nil, case .barred(let refusal) = node.registration {
        row = NodeReport(name: node.name, address: "", state: node.role, reason: refusal.text)
      }
      return row
    }
    let targets = Set((catalogue?.nodes ?? []).compactMap(\.target))
    return registered
      + selection.known.filter { !targets.contains($0.node.target) }.map {
        report($0.node.name, $0.node.target, "unknown")
      }
  }
}

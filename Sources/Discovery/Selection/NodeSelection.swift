import Redirect

/// What selection found out about one instance.
struct NodeVerdict: Equatable, Sendable {
  enum Outcome: Equatable, Sendable {
    case chosen
    /// It could be chosen, and another one was.
    case outranked
    /// It cannot be chosen, for this reason.
    case refused(String)
    /// It would be chosen, and clients must not be sent there.
    case forbidden(String)
  }

  let name: String
  /// Where clients would be sent; nil where the address is unusable.
  let target: RedirectTarget?
  /// `active`, `standby`, `performance-standby`, `critical` or `unknown`.
  let role: String
  let modifyIndex: UInt64
  let checks: [ServiceEntry.Check]
  var outcome: Outcome

  /// Nil where the address is unusable.
  var node: ActiveNode? { target.map { ActiveNode(target: $0, name: name) } }
}

/// The active node according to one answer of Consul's, and why.
struct NodeSelection: Equatable, Sendable {
  /// In Consul's order.
  private(set) var verdicts: [NodeVerdict]
  private(set) var chosen: ActiveNode?

  /// How many could have been chosen.
  var candidates: Int { candidateNodes.count }

  /// Those that could have been chosen, the chosen one first.
  var candidateNodes: [ActiveNode] {
    let others = verdicts.filter { $0.outcome == .outranked }.compactMap(\.node)
    return (chosen.map { [$0] } ?? []) + others
  }

  /// Every node with a usable address, each target once, those that could be chosen first.
  var distinctNodes: [ActiveNode] {
    var seen: Set<RedirectTarget> = []
    return (candidateNodes + verdicts.compactMap(\.node)).filter { seen.insert($0.target).inserted }
  }

  /// Why the nodes that may not be chosen would have been, had they been allowed.
  var forbidden: [String] {
    verdicts.compactMap { if case .forbidden(let reason) = $0.outcome { reason } else { nil } }
  }

  init(
    _ entries: [ServiceEntry], rules: SelectionRules, permission: TargetGuard = TargetGuard()
  ) {
    let criterion = Criterion(entries, rules: rules, permission: permission)
    verdicts = entries.map { criterion.judge($0) }
    // The newest registration wins; on a tie the first by name, so that all redirectors agree.
    let best = verdicts.indices
      .filter { verdicts[$0].outcome == .outranked }
      .min { left, right in
        let (a, b) = (verdicts[left], verdicts[right])
        return a.modifyIndex != b.modifyIndex ? a.modifyIndex > b.modifyIndex : a.name < b.name
      }
    guard let best else { return }
    verdicts[best].outcome = .chosen
    chosen = verdicts[best].node
  }
}

/// The rules, settled for one answer.
private struct Criterion {
  private let rules: SelectionRules
  private let permission: TargetGuard
  private let byCheck: Bool
  private let checkID: String?

  init(_ entries: [ServiceEntry], rules: SelectionRules, permission: TargetGuard) {
    self.rules = rules
    self.permission = permission
    switch rules.mode {
    case .tag: (byCheck, checkID) = (false, nil)
    case .check(let id): (byCheck, checkID) = (true, id)
    case .auto(let id):
      let vaultTags = SelectionRules.vaultTags.union([rules.activeTag])
      byCheck = !entries.contains { !vaultTags.isDisjoint(with: $0.tags) }
      checkID = id
    }
  }

  /// `.outranked` for whoever could be chosen.
  func judge(_ entry: ServiceEntry) -> NodeVerdict {
    let (target, unusable) = rules.target.resolve(entry, scheme: rules.scheme)
    let outcome: NodeVerdict.Outcome =
      if let reason = refusal(entry) ?? unusable {
        .refused(reason)
      } else if let reason = target.flatMap(permission.refusal) {
        .forbidden(reason)
      } else {
        .outranked
      }
    return NodeVerdict(
      name: sanitized(entry.nodeName), target: target, role: role(of: entry),
      modifyIndex: entry.modifyIndex, checks: entry.checks, outcome: outcome)
  }

  private func refusal(_ entry: ServiceEntry) -> String? {
    if let missing = byCheck ? missingPass(entry) : missingTag(entry) { return missing }
    return entry.checks.first { $0.status == "critical" }.map { "check \($0.id) is critical" }
  }

  private func missingTag(_ entry: ServiceEntry) -> String? {
    entry.tags.contains(rules.activeTag) ? nil : "it has no tag \(rules.activeTag)"
  }

  private func missingPass(_ entry: ServiceEntry) -> String? {
    if let checkID {
      guard let check = entry.checks.first(where: { $0.id == checkID }) else {
        return "it has no check \(checkID)"
      }
      return check.status == "passing" ? nil : "check \(checkID) is \(check.status)"
    }
    let own = entry.checks.filter { !$0.serviceID.isEmpty }
    guard !own.isEmpty else { return "the service has no check" }
    return own.first { $0.status != "passing" }.map { "check \($0.id) is \($0.status)" }
  }

  private func role(of entry: ServiceEntry) -> String {
    if entry.checks.contains(where: { $0.status == "critical" }) {
      let isSealed = entry.checks.contains { $0.output.contains("Vault Sealed") }
      return isSealed ? "sealed" : "critical"
    }
    if byCheck { return missingPass(entry) == nil ? "active" : "standby" }
    if entry.tags.contains(rules.activeTag) { return "active" }
    return ["performance-standby", "standby"].first { entry.tags.contains($0) } ?? "unknown"
  }
}

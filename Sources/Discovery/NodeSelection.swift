import Redirect

/// What selection found out about one instance.
struct NodeVerdict: Equatable, Sendable {
  enum Outcome: Equatable, Sendable {
    case chosen
    /// It could be chosen, and another one was.
    case outranked
    /// It cannot be chosen, for this reason.
    case refused(String)
  }

  let name: String
  /// Where clients would be sent; nil where the address is unusable.
  let target: RedirectTarget?
  /// `active`, `standby`, `performance-standby`, `critical` or `unknown`.
  let role: String
  let modifyIndex: UInt64
  let checks: [ServiceEntry.Check]
  var outcome: Outcome
}

/// The active node according to one answer of Consul's, and why.
struct NodeSelection: Equatable, Sendable {
  /// In Consul's order.
  private(set) var verdicts: [NodeVerdict]
  private(set) var chosen: ActiveNode?

  /// How many could have been chosen.
  var candidates: Int {
    verdicts.count { $0.outcome == .chosen || $0.outcome == .outranked }
  }

  init(_ entries: [ServiceEntry], rules: SelectionRules) {
    let criterion = Criterion(entries, rules: rules)
    verdicts = entries.map { criterion.judge($0) }
    // The newest registration wins; on a tie the first by name, so that all redirectors agree.
    let best = verdicts.indices
      .filter { verdicts[$0].outcome == .outranked }
      .min { left, right in
        let (a, b) = (verdicts[left], verdicts[right])
        return a.modifyIndex != b.modifyIndex ? a.modifyIndex > b.modifyIndex : a.name < b.name
      }
    guard let best, let target = verdicts[best].target else { return }
    verdicts[best].outcome = .chosen
    chosen = ActiveNode(target: target, name: verdicts[best].name)
  }
}

/// The rules, settled for one answer.
private struct Criterion {
  private let rules: SelectionRules
  private let byCheck: Bool
  private let checkID: String?

  init(_ entries: [ServiceEntry], rules: SelectionRules) {
    self.rules = rules
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
    let (host, port) = rules.target.address(of: entry)
    let target = UInt16(exactly: port).flatMap {
      RedirectTarget(scheme: rules.scheme, host: host, port: $0)
    }
    let reason = refusal(entry, host: host, port: port, isUsable: target != nil)
    return NodeVerdict(
      name: entry.nodeName, target: target, role: role(of: entry), modifyIndex: entry.modifyIndex,
      checks: entry.checks, outcome: reason.map { .refused($0) } ?? .outranked)
  }

  private func refusal(
    _ entry: ServiceEntry, host: String, port: Int, isUsable: Bool
  ) -> String? {
    if let missing = byCheck ? missingPass(entry) : missingTag(entry) { return missing }
    if let critical = entry.checks.first(where: { $0.status == "critical" }) {
      return "check \(critical.id) is critical"
    }
    if !(1...65_535).contains(port) { return "port \(port) is not usable" }
    if host.isEmpty { return "it has no address" }
    return isUsable ? nil : "host \(sanitized(host)) is not usable"
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

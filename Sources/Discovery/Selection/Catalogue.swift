import Redirect

/// One instance of Consul's answer, read by the rules.
struct RegisteredNode: Equatable, Sendable {
  /// Printable.
  let name: String
  /// Where clients would be sent; nil where the address is unusable.
  let target: RedirectTarget?
  /// `active`, `standby`, `performance-standby`, `sealed`, `critical` or `unknown`.
  let role: String
  let modifyIndex: UInt64
  let checks: [ServiceEntry.Check]
  let registration: Registration

  /// Nil where the address is unusable.
  var node: ActiveNode? { target.map { ActiveNode(target: $0, name: name) } }

  /// Smaller is better; on a tie the first by name, so that all redirectors agree.
  fileprivate var rank: (Int, UInt64, String) {
    (registration == .active ? 0 : 1, UInt64.max - modifyIndex, name)
  }
}

/// One answer of Consul's: who is registered, and as what.
struct Catalogue: Equatable, Sendable {
  /// In Consul's order.
  let nodes: [RegisteredNode]
  let completeness: Completeness

  /// Somebody is registered as the active node.
  var namesActive: Bool { nodes.contains { $0.registration == .active } }

  /// Those with a usable address, each target once (of two, the one that is registered as active, else the newer), those that are
  /// registered as active first, and of these the newest registration.
  let distinct: [RegisteredNode]

  /// Those of them that may be asked.
  var askable: [ActiveNode] {
    distinct.filter { if case .barred = $0.registration { false } else { true } }.compactMap(\.node)
  }

  /// Where a target stands in `distinct`: an answer may name thousands.
  private let places: [RedirectTarget: Int]

  /// What the answer says of a node; nil where it does not name it.
  func registration(of target: RedirectTarget) -> Registration? {
    places[target].map { distinct[$0].registration }
  }

  init(
    _ entries: [ServiceEntry], rules: SelectionRules, completeness: Completeness = .complete
  ) {
    let reading = CatalogueReading(entries, rules: rules)
    self.init(entries.map { reading.read($0) }, completeness)
  }

  /// This answer, and what an older one says of the nodes that it does not name.
  func completed(by older: Catalogue) -> Catalogue {
    let named = Set(nodes.compactMap(\.target))
    let rest = older.nodes.filter { node in node.target.map { !named.contains($0) } ?? false }
    return Catalogue(nodes + rest, completeness)
  }

  private init(_ nodes: [RegisteredNode], _ completeness: Completeness) {
    self.nodes = nodes
    self.completeness = completeness
    var places: [RedirectTarget: Int] = [:]
    var distinct: [RegisteredNode] = []
    for node in nodes.sorted(by: { $0.rank < $1.rank }) {
      guard let target = node.target, places[target] == nil else { continue }
      places[target] = distinct.count
      distinct.append(node)
    }
    (self.places, self.distinct) = (places, distinct)
  }
}

/// The rules, settled for one answer: by tag or by check is one decision for all of it.
private struct CatalogueReading {
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
      // What Vault has registered itself, seen without its tags, must not have a standby chosen that is merely well.
      byCheck = !entries.contains { entry in
        !vaultTags.isDisjoint(with: entry.tags)
          || entry.checks.contains { $0.id.hasSuffix(SelectionRules.vaultCheckSuffix) }
      }
      checkID = id
    }
  }

  func read(_ entry: ServiceEntry) -> RegisteredNode {
    let (target, unusable) = rules.target.resolve(entry, scheme: rules.scheme)
    return RegisteredNode(
      name: sanitized(entry.nodeName), target: target, role: role(of: entry),
      modifyIndex: entry.modifyIndex, checks: entry.checks,
      registration: registration(of: entry, unusable: unusable))
  }

  private func registration(of entry: ServiceEntry, unusable: String?) -> Registration {
    if let unusable { return .barred(Refusal(.address, unusable)) }
    if let missing = rules.requiredTags.first(where: { !entry.tags.contains($0) }) {
      return .barred(Refusal(.requiredTag, "it has no tag \(missing)"))
    }
    if let check = entry.checks.first(where: { $0.status == "critical" && $0.isMaintenance }) {
      return .barred(Refusal(.maintenance, "check \(sanitized(check.id)) is critical"))
    }
    // Before the tag: a node that has died keeps it.
    if let check = entry.checks.first(where: { $0.status == "critical" }) {
      return .critical("check \(sanitized(check.id)) is critical")
    }
    if let missing = byCheck ? missingPass(entry) : missingTag(entry) { return .inactive(missing) }
    return .active
  }

  private func missingTag(_ entry: ServiceEntry) -> String? {
    entry.tags.contains(rules.activeTag) ? nil : "it has no tag \(rules.activeTag)"
  }

  private func missingPass(_ entry: ServiceEntry) -> String? {
    if let checkID {
      guard let check = entry.checks.first(where: { $0.id == checkID }) else {
        return "it has no check \(checkID)"
      }
      return check.status == "passing" ? nil : "check \(checkID) is \(sanitized(check.status))"
    }
    let own = entry.checks.filter { !$0.serviceID.isEmpty }
    guard !own.isEmpty else { return "the service has no check" }
    return own.first { $0.status != "passing" }.map {
      "check \(sanitized($0.id)) is \(sanitized($0.status))"
    }
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

extension ServiceEntry.Check {
  /// What `consul maint` and the agent's API register (Consul's documentation, "Maintenance Mode").
  fileprivate var isMaintenance: Bool {
    id == "_node_maintenance" || id.hasPrefix("_service_maintenance:")
  }
}

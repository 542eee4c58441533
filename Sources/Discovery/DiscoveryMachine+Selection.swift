import Redirect

// What the machine knows, put together for `Selection`.
extension DiscoveryMachine {
  /// Everything that is known of everybody.
  var selection: Selection {
    var known = (catalogue?.distinct ?? []).compactMap { registered in
      registered.node.map { self.known($0, registered.modifyIndex) }
    }
    var seen = Set(known.map(\.node.target))
    let others = (nodes?.nodes.map(\.node) ?? []) + (publisher.published.map { [$0] } ?? [])
    for node in others where seen.insert(node.target).inserted { known.append(self.known(node, 0)) }
    return Selection(
      known: known, published: publisher.published, isOpen: consul != nil && catalogue == nil)
  }

  private func known(_ node: ActiveNode, _ modifyIndex: UInt64) -> Selection.Known {
    var known = Selection.Known(
      node: node, registration: registration(of: node),
      opinion: nodes.map { $0.opinion(of: node.target) } ?? .notAsked, modifyIndex: modifyIndex)
    known.isClaiming = catalogue?.registration(of: node.target) == .active
    if let word = nodes?.word(of: node.target) {
      known.isClaiming = known.isClaiming || word.isActive
      known.state = word.state
      switch word.activeTime {
      case .told(let time): known.activeSince = time
      case .wanted, .asked: known.isBeingDated = true
      case .unasked, nil: break
      }
    }
    return known
  }

  private func registration(of node: ActiveNode) -> Registration {
    if let reason = configuration.targets.refusal(of: node.target) {
      return .barred(Refusal(.forbidden, reason))
    }
    if let refusal = nodes?.place(at: node.target)?.refusal { return .barred(refusal) }
    guard consul != nil else { return .unasked }
    guard let catalogue else { return .hidden }
    if let registration = catalogue.registration(of: node.target) { return registration }
    return catalogue.completeness == .complete
      ? .vanished(isRecent: vanishing != .forGood) : .hidden
  }

  /// When a node that has only vanished is given up; nil where none has, or Consul is silent.
  var graceEnd: Duration? {
    guard nodes == nil, publisher.status.state == .current, case .since(let start) = vanishing
    else { return nil }
    return start + configuration.vanishGrace
  }

  /// When what is known becomes too old to be served; nil where nothing is served, and that has been said. Whether the source is known to be
  /// silent does not matter: a query that hangs is noticed late.
  var expiry: Duration? {
    let status = publisher.status
    guard configuration.staleLimit > .zero, let last = status.lastKnown,
      publisher.published != nil || status.state == .silent
    else { return nil }
    return last.monotonic + configuration.staleLimit
  }
}

import Redirect

/// What every probed node last said, when to ask it again, and which of them is active.
///
/// Pure: times come in, questions go out.
struct ProbeBoard {
  /// What the answers amount to.
  enum Verdict: Equatable {
    case active(ActiveNode)
    /// Somebody answered, and nobody is active.
    case none
    /// Nobody answers: the fault may be ours.
    case blind(String)
    /// Not everybody has been heard yet.
    case open
  }

  struct Node {
    let node: ActiveNode
    var state = VaultState.unknown
    var nextAt = Duration.zero
    /// When the question was asked whose answer is outstanding.
    var askedAt: Duration?
    var isAsked: Bool { askedAt != nil }
    /// It was active, and its next answer is late: a node that is being sealed says nothing until it is.
    var isInDoubt = false
    /// `active_time` of `/v1/sys/leader`, in its own text; asked for when two claim to be active.
    var activeTime: String?
    var wantsActiveTime = false
    var isAskedForActiveTime = false
  }

  /// More nodes than this are not asked: a cluster has five, a hostile catalog any number.
  static let nodesMax = 64

  /// The pause between two probes of a node while an active one is known.
  let interval: Duration
  /// The pause while none is.
  static let hurriedInterval = Duration.milliseconds(250)

  private(set) var nodes: [Node]
  private var incumbent: RedirectTarget?

  init(_ nodes: [ActiveNode], interval: Duration) {
    self.interval = interval
    self.nodes = nodes.map { Node(node: $0) }
  }

  /// Takes another list of nodes, its first `nodesMax`; what is known of those that stay is kept.
  mutating func replace(_ list: [ActiveNode]) {
    nodes = list.prefix(Self.nodesMax).map { node in
      nodes.first { $0.node == node } ?? Node(node: node)
    }
  }

  /// Has every node asked now.
  mutating func hurry(now: Duration) {
    for index in nodes.indices { nodes[index].nextAt = min(nodes[index].nextAt, now) }
  }

  /// What the node behind a target last said; nil where it is not on the board.
  func state(of target: RedirectTarget) -> VaultState? {
    place(of: target).map { nodes[$0].state }
  }

  private func place(of target: RedirectTarget) -> Int? {
    nodes.firstIndex { $0.node.target == target }
  }

  /// When the next question is due, or an answer late.
  var nextAt: Duration? {
    nodes.lazy.compactMap { node in
      guard let askedAt = node.askedAt else { return node.nextAt }
      return node.state == .active && !node.isInDoubt ? askedAt + Self.hurriedInterval : nil
    }.min()
  }

  /// The questions that are due, each to be answered by `take`.
  mutating func due(now: Duration) -> [ProbeQuestion] {
    doubt(now: now)
    var questions: [ProbeQuestion] = []
    for index in nodes.indices {
      if !nodes[index].isAsked, nodes[index].nextAt <= now {
        nodes[index].askedAt = now
        questions.append(.health(nodes[index].node.target))
      }
      if nodes[index].wantsActiveTime, !nodes[index].isAskedForActiveTime {
        nodes[index].wantsActiveTime = false
        nodes[index].isAskedForActiveTime = true
        questions.append(.activeTime(nodes[index].node.target))
      }
    }
    return questions
  }

  /// Who is active and lets us wait is not given up, and yields to any other that says 200; so all others are asked.
  private mutating func doubt(now: Duration) {
    for index in nodes.indices where nodes[index].state == .active && !nodes[index].isInDoubt {
      guard let askedAt = nodes[index].askedAt, askedAt + Self.hurriedInterval <= now else {
        continue
      }
      nodes[index].isInDoubt = true
      hurry(now: now)
    }
  }

  /// Takes the answer to `.health`.
  ///
  /// - Parameter random: a number in 0..<1, for the jitter.
  mutating func take(
    health state: VaultState, of target: RedirectTarget, now: Duration, random: Double
  ) {
    // A node may have left the list while it was asked.
    guard let index = place(of: target) else { return }
    let wasActive = nodes[index].state == .active
    let wasSure = wasActive && !nodes[index].isInDoubt
    nodes[index].state = state
    nodes[index].askedAt = nil
    nodes[index].isInDoubt = false
    if state != .active { nodes[index].activeTime = nil }
    let pause = hasActive ? interval : min(interval, Self.hurriedInterval)
    // A quarter more or less: redirectors do not ask together, nor one redirector all nodes at once, so that a change
    // is noticed at one node or another well within the interval.
    nodes[index].nextAt = now + pause * (0.75 + 0.5 * random)
    if wasActive, state != .active {
      // Its successor may be there already.
      for other in nodes.indices where other != index { nodes[other].nextAt = now }
    }
    if state == .active, !wasSure { settleSplit(arrival: index, now: now) }
    if case .active(let node) = verdict { incumbent = node.target }
  }

  /// Takes the answer to `.activeTime`: nil where the node names none.
  mutating func take(activeTime: String?, of target: RedirectTarget) {
    guard let index = place(of: target) else { return }
    nodes[index].isAskedForActiveTime = false
    if nodes[index].state == .active { nodes[index].activeTime = activeTime }
    if case .active(let node) = verdict { incumbent = node.target }
  }

  /// Every node has been heard, or has failed to answer.
  var isComplete: Bool {
    nodes.allSatisfy { $0.state != .unknown && !$0.wantsActiveTime && !$0.isAskedForActiveTime }
  }

  private var hasActive: Bool { nodes.contains { $0.state == .active && !$0.isInDoubt } }

  /// Two say that they are active: the older word may be out of date, so it is asked for again, and both for the time
  /// since when.
  private mutating func settleSplit(arrival: Int, now: Duration) {
    let actives = nodes.indices.filter { nodes[$0].state == .active && !nodes[$0].isInDoubt }
    guard actives.count > 1 else { return }
    for index in actives {
      nodes[index].wantsActiveTime = true
      if index != arrival { nodes[index].nextAt = now }
    }
  }

  /// Who is active by what is known now.
  var verdict: Verdict {
    if let active = active(among: nodes) { return .active(active) }
    if nodes.contains(where: { $0.state == .unknown }) { return .open }
    if nodes.contains(where: { $0.state.isAnswer }) { return .none }
    let reasons = nodes.map { "\($0.node.target.authority) \($0.state.text)" }
    return .blind(reasons.joined(separator: "; "))
  }

  /// Of those that say they are active the one that is: the latest, else the incumbent, else the first. Nil where none says so.
  func active(among list: [Node]) -> ActiveNode? {
    let claimants = list.filter { $0.state == .active }
    let sure = claimants.filter { !$0.isInDoubt }
    let actives = sure.isEmpty ? claimants : sure
    let times = actives.compactMap { $0.activeTime.map { UTCTime($0) } }
    if times.count == actives.count, Set(times).count > 1, let latest = times.max() {
      return actives.first { $0.activeTime.map { UTCTime($0) } == latest }?.node
    }
    return (actives.first { $0.node.target == incumbent } ?? actives.first)?.node
  }
}

/// A question to one node.
enum ProbeQuestion: Hashable, Sendable {
  case health(RedirectTarget)
  case activeTime(RedirectTarget)
}

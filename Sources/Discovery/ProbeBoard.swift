import Redirect

/// What every probed node last said, when to ask it again, and which of them is active.
///
/// Pure: times come in, questions go out.
struct ProbeBoard {
  /// What the answers amount to.
  enum Verdict: Equatable {
    case active(Int)
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
    var isAsked = false
    /// `active_time` of `/v1/sys/leader`, in its own text; asked for when two claim to be active.
    var activeTime: String?
    var wantsActiveTime = false
    var isAskedForActiveTime = false
  }

  /// The pause between two probes of a node while an active one is known.
  let interval: Duration
  /// The pause while none is.
  static let hurriedInterval = Duration.milliseconds(250)

  private(set) var nodes: [Node]
  private var incumbent: Int?

  init(_ nodes: [ActiveNode], interval: Duration) {
    self.interval = interval
    self.nodes = nodes.map { Node(node: $0) }
  }

  /// When the next question is due.
  var nextAt: Duration? {
    nodes.lazy.filter { !$0.isAsked }.map(\.nextAt).min()
  }

  /// The questions that are due, each to be answered by `take`.
  mutating func due(now: Duration) -> [ProbeQuestion] {
    var questions: [ProbeQuestion] = []
    for index in nodes.indices {
      if !nodes[index].isAsked, nodes[index].nextAt <= now {
        nodes[index].isAsked = true
        questions.append(.health(index))
      }
      if nodes[index].wantsActiveTime, !nodes[index].isAskedForActiveTime {
        nodes[index].wantsActiveTime = false
        nodes[index].isAskedForActiveTime = true
        questions.append(.activeTime(index))
      }
    }
    return questions
  }

  /// Takes the answer to `.health`.
  ///
  /// - Parameter random: a number in 0..<1, for the jitter.
  mutating func take(health state: VaultState, of index: Int, now: Duration, random: Double) {
    let wasActive = nodes[index].state == .active
    nodes[index].state = state
    nodes[index].isAsked = false
    if state != .active { nodes[index].activeTime = nil }
    let pause = hasActive ? interval : min(interval, Self.hurriedInterval)
    // Jitter of a tenth: redirectors that started together do not ask together for ever.
    nodes[index].nextAt = now + pause * (0.9 + 0.2 * random)
    if wasActive, state != .active {
      // Its successor may be there already.
      for other in nodes.indices where other != index { nodes[other].nextAt = now }
    }
    if state == .active, !wasActive { settleSplit(arrival: index, now: now) }
    if case .active(let index) = verdict { incumbent = index }
  }

  /// Takes the answer to `.activeTime`: nil where the node names none.
  mutating func take(activeTime: String?, of index: Int) {
    nodes[index].isAskedForActiveTime = false
    if nodes[index].state == .active { nodes[index].activeTime = activeTime }
    if case .active(let index) = verdict { incumbent = index }
  }

  private var hasActive: Bool { nodes.contains { $0.state == .active } }

  /// Two say that they are active: the older word may be out of date, so it is asked for again, and both for the time
  /// since when.
  private mutating func settleSplit(arrival: Int, now: Duration) {
    let actives = nodes.indices.filter { nodes[$0].state == .active }
    guard actives.count > 1 else { return }
    for index in actives {
      nodes[index].wantsActiveTime = true
      if index != arrival { nodes[index].nextAt = now }
    }
  }

  /// Who is active by what is known now.
  var verdict: Verdict {
    let actives = nodes.indices.filter { nodes[$0].state == .active }
    if let first = actives.first {
      let times = actives.compactMap { nodes[$0].activeTime }
      guard actives.count > 1 else { return .active(first) }
      if times.count == actives.count, Set(times).count > 1,
        let latest = actives.max(by: { later(nodes[$1].activeTime, than: nodes[$0].activeTime) })
      {
        return .active(latest)
      }
      return .active(incumbent.flatMap { actives.contains($0) ? $0 : nil } ?? first)
    }
    if nodes.contains(where: { $0.state == .unknown }) { return .open }
    if nodes.contains(where: { $0.state.isAnswer }) { return .none }
    let reasons = nodes.map { "\($0.node.target.authority) \($0.state.text)" }
    return .blind(reasons.joined(separator: "; "))
  }

  private func later(_ left: String?, than right: String?) -> Bool {
    guard let left, let right else { return false }
    return UTCTime(left) > UTCTime(right)
  }
}

/// A question to one node, by its place on the board.
enum ProbeQuestion: Hashable, Sendable {
  case health(Int)
  case activeTime(Int)
}

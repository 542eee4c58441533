import Redirect

/// Every node that is asked itself: what it last said, and when to ask it again.
///
/// Pure: times come in, questions go out. Who is active by all of this is `Selection`'s to say.
struct VaultNodes {
  struct Node {
    let node: ActiveNode
    var word = NodeWord.unheard
    fileprivate var asking = Asking.due(.zero)
  }

  /// One question at a time goes to a node.
  fileprivate enum Asking: Equatable {
    /// The next question is due at this time.
    case due(Duration)
    /// Asked at this time.
    case out(Duration)
  }

  /// More nodes than this are not asked: a cluster has five, a hostile catalog any number.
  static let nodesMax = 64
  /// The pause between two probes of the active node.
  static let activeInterval = Duration.milliseconds(100)
  /// While none is sure to be active: the pause at first, for how long, and the one after that.
  static let searchInterval = Duration.milliseconds(50)
  static let searchTime = Duration.seconds(20)
  static let longSearchInterval = Duration.milliseconds(250)
  /// With many nodes the pauses are longer, so that all of them together are not asked more often than once in this time.
  static let shortestInterval = Duration.milliseconds(5)
  /// An active node's answer that is out for so long is late.
  static let lateAfter = Duration.milliseconds(250)

  /// The pause between two probes of the other nodes while one is active.
  let interval: Duration
  private(set) var nodes: [Node]
  /// Those to whom clients must not be sent: asked, and no reason to look for no other.
  var forbidden: Set<RedirectTarget> = []
  /// Since when none is sure to be active, or since what has changed since then; nil while one is.
  private var searchingSince: Duration? = .zero

  init(_ nodes: [ActiveNode], interval: Duration) {
    self.interval = interval
    self.nodes = nodes.map { Node(node: $0) }
  }

  /// Takes another list of nodes, its first `nodesMax`; what is known of those that stay is kept.
  mutating func replace(_ list: [ActiveNode]) {
    nodes = list.prefix(Self.nodesMax).map { node in
      var kept = nodes.first { $0.node.target == node.target } ?? Node(node: node)
      if kept.node != node { kept = Node(node: node, word: kept.word, asking: kept.asking) }
      return kept
    }
  }

  /// Has every node asked now.
  mutating func hurry(now: Duration) {
    for index in nodes.indices {
      if case .due(let time) = nodes[index].asking { nodes[index].asking = .due(min(time, now)) }
    }
  }

  /// Forgets the questions that are out, and has every node asked now.
  mutating func askAgain(now: Duration) {
    for index in nodes.indices {
      nodes[index].asking = .due(now)
      if nodes[index].word.activeTime == .asked { nodes[index].word.setActiveTime(.wanted) }
    }
    search(now: now)
  }

  /// What the node behind a target last said; nil where it is not asked.
  func word(of target: RedirectTarget) -> NodeWord? {
    place(of: target).map { nodes[$0].word }
  }

  private func place(of target: RedirectTarget) -> Int? {
    nodes.firstIndex { $0.node.target == target }
  }

  /// When the next question is due, or an answer late.
  var nextAt: Duration? {
    nodes.lazy.compactMap { node in
      switch node.asking {
      case .due(let time): time
      case .out(let time): node.word.isActive ? time + Self.lateAfter : nil
      }
    }.min()
  }

  /// The questions that are due, each to be answered by `take`.
  mutating func due(now: Duration) -> [ProbeQuestion] {
    doubt(now: now)
    // The active one may have left the list, too.
    if searchingSince == nil, !hasActive { search(now: now) }
    var questions: [ProbeQuestion] = []
    for index in nodes.indices {
      let target = nodes[index].node.target
      if case .due(let time) = nodes[index].asking, time <= now {
        nodes[index].asking = .out(now)
        questions.append(.health(target))
      }
      if nodes[index].word.activeTime == .wanted {
        nodes[index].word.setActiveTime(.asked)
        questions.append(.activeTime(target))
      }
    }
    return questions
  }

  /// Who is active and lets us wait is not given up, and yields to any other that says 200; so all others are asked.
  private mutating func doubt(now: Duration) {
    for index in nodes.indices {
      guard case .active(let time) = nodes[index].word, case .out(let asked) = nodes[index].asking,
        asked + Self.lateAfter <= now
      else { continue }
      nodes[index].word = .overdue(time)
      search(now: now)
    }
  }

  /// Has everybody asked, and asks often for a while, unless an active node is known.
  private mutating func search(now: Duration) {
    searchingSince = hasActive ? nil : now
    hurry(now: now)
  }

  /// Takes the answer to `.health`.
  ///
  /// - Parameter random: a number in 0..<1, for the jitter.
  mutating func take(
    health state: VaultState, of target: RedirectTarget, now: Duration, random: Double
  ) {
    // A node may have left the list while it was asked.
    guard let index = place(of: target) else { return }
    let old = nodes[index].word
    nodes[index].word = NodeWord(state, after: old)
    // Whoever says something else than before is one of several in whom something has changed.
    if old != .unheard, old.state.name != state.name {
      search(now: now)
    } else if hasActive {
      searchingSince = nil
    }
    // A quarter more or less: redirectors do not ask together, nor one redirector all nodes at once.
    nodes[index].asking = .due(now + pause(index, now: now) * (0.75 + 0.5 * random))
    if state.bearing == .affirms, !old.isActive { settleSplit(arrival: index, now: now) }
  }

  private func pause(_ index: Int, now: Duration) -> Duration {
    guard let searchingSince else {
      return nodes[index].word.isActive ? min(interval, Self.activeInterval) : interval
    }
    let isLong = now - searchingSince >= Self.searchTime
    let pause = min(interval, isLong ? Self.longSearchInterval : Self.searchInterval)
    return max(pause, Self.shortestInterval * nodes.count)
  }

  /// Takes the answer to `.activeTime`: nil where the node names none.
  mutating func take(activeTime: String?, of target: RedirectTarget) {
    guard let index = place(of: target) else { return }
    nodes[index].word.setActiveTime(.told(activeTime.map { UTCTime($0) }))
  }

  /// Every node has been heard, or has failed to answer.
  var isComplete: Bool {
    nodes.allSatisfy {
      $0.word != .unheard && $0.word.activeTime != .wanted && $0.word.activeTime != .asked
    }
  }

  private var hasActive: Bool {
    nodes.contains { $0.word.isActive && !forbidden.contains($0.node.target) }
  }

  /// Two say that they are active: the older word may be out of date, so it is asked for again, and both for the time
  /// since when.
  private mutating func settleSplit(arrival: Int, now: Duration) {
    let actives = nodes.indices.filter { nodes[$0].word.isActive }
    guard actives.count > 1 else { return }
    for index in actives {
      nodes[index].word.setActiveTime(.wanted)
      if index != arrival, case .due = nodes[index].asking { nodes[index].asking = .due(now) }
    }
  }

  /// A node of which nothing has come back for so many probes in a row is lost, where others answer.
  private static let silencesMax = 2

  /// What the node behind a target says, seen together with the others.
  func opinion(of target: RedirectTarget) -> Selection.Opinion {
    switch word(of: target) {
    // Who is not asked has not been heard: no node is believed that has not spoken.
    case nil, .unheard: .unheard
    case .active: .active
    case .overdue: .overdue
    case .inactive: .denied
    case .unclear: .unclear
    case .silent(_, let times):
      isStrayed || (times >= Self.silencesMax && isHeard) ? .lost : .silent
    }
  }

  /// A standby says that it has lost the active node.
  private var isStrayed: Bool { nodes.contains { $0.word.state == .strayedStandby } }

  /// Some Vault answers: we are not cut off.
  var isHeard: Bool { nodes.contains { $0.word.state.isAnswer } }

  /// Why nobody answers.
  var silence: String {
    nodes.map { "\($0.node.target.authority) \($0.word.state.text)" }.joined(separator: "; ")
  }
}

extension NodeWord {
  /// Nothing happens to who is not active any more.
  fileprivate mutating func setActiveTime(_ time: ActiveTime) {
    switch self {
    case .active: self = .active(time)
    case .overdue: self = .overdue(time)
    default: break
    }
  }
}

/// A question to one node.
enum ProbeQuestion: Hashable, Sendable {
  case health(RedirectTarget)
  case activeTime(RedirectTarget)
}

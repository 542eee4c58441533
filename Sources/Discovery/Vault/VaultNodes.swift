import Redirect

/// Every node that is asked itself: what it last said, and when to ask it again.
///
/// Pure: times come in, questions go out. Who is active by all of this is `Selection`'s to say.
struct VaultNodes {
  struct Node {
    let place: NodePlace
    var word = NodeWord.unheard
    fileprivate var asking = Asking.due(.zero)
    /// Before these times it is not asked again, whatever happens elsewhere.
    fileprivate var rest = (health: Duration.zero, activeTime: Duration.zero)

    var node: ActiveNode { place.node }

    fileprivate init(_ place: NodePlace) {
      self.place = place
      if case .missing(let state) = place.endpoint {
        asking = .never
        if state != .unknown { word = NodeWord(state, after: .unheard) }
      }
    }

    /// What is known of an endpoint goes with it, whoever it belongs to by now.
    fileprivate init(_ place: NodePlace, heard old: Node) {
      self.place = place
      word = old.word
      // No answer comes from where nobody is asked any more.
      asking = place.endpoint == old.place.endpoint ? old.asking : .due(.zero)
      rest = old.rest
      if asking != old.asking, word.activeTime == .asked { word.setActiveTime(.wanted) }
    }

    /// When to ask for its health; nil while it is being asked.
    fileprivate var dueAt: Duration? {
      if case .due(let time) = asking { max(time, rest.health) } else { nil }
    }

    /// When to ask since when it is active; nil where nobody wants to know.
    fileprivate var activeTimeDueAt: Duration? {
      word.activeTime == .wanted ? rest.activeTime : nil
    }

    /// When its answer is late; nil for one that nobody relies on.
    fileprivate var lateAt: Duration? {
      guard case .out(let time) = asking, word.isActive else { return nil }
      return time + VaultNodes.lateAfter
    }
  }

  /// One question at a time goes to a node.
  fileprivate enum Asking: Equatable {
    /// The next question is due at this time.
    case due(Duration)
    /// Asked at this time.
    case out(Duration)
    /// There is nowhere to ask.
    case never
  }

  /// More nodes of a catalog, or behind names, than this are not asked: a cluster has five, a hostile catalog any number.
  static let nodesMax = 64
  /// The pause between two probes of the active node.
  static let activeInterval = Duration.milliseconds(100)
  /// While none is sure to be active: the pause at first, for how long, and the one after that.
  static let searchInterval = Duration.milliseconds(50)
  static let searchTime = Duration.seconds(20)
  static let longSearchInterval = Duration.milliseconds(250)
  /// With many nodes the pauses are longer, so that all of them together are not asked more often than once in this time.
  static let shortestInterval = Duration.milliseconds(5)
  /// The pause between two questions since when a node is active, while several are.
  static let datingInterval = Duration.milliseconds(500)
  /// An active node's answer that is out for so long is late.
  static let lateAfter = Duration.milliseconds(250)

  /// The pause between two probes of the other nodes while one is active.
  let interval: Duration
  private(set) var nodes: [Node]
  /// The most that are asked.
  private let limit: Int
  /// Since when none is sure to be active, or since what has changed since then; nil while one is.
  private var searchingSince: Duration? = .zero

  /// - Parameter named: how many nodes were named to us one by one; they count beside `nodesMax`.
  init(interval: Duration, named: Int = 0) {
    self.interval = interval
    limit = Self.nodesMax + named
    nodes = []
  }

  /// Takes another list of nodes, its first `limit`; what is known of those that stay where they are is kept.
  mutating func replace(_ list: [NodePlace]) {
    nodes = list.prefix(limit).map { place in
      guard let old = nodes.first(where: { $0.place.isSame(as: place) }) else { return Node(place) }
      return Node(place, heard: old)
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
      if nodes[index].asking != .never { nodes[index].asking = .due(now) }
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

  private func place(of endpoint: NodeEndpoint) -> Int? {
    nodes.firstIndex { $0.place.endpoint == .known(endpoint) }
  }

  /// Where the node behind a target is asked; nil where it is not.
  func place(at target: RedirectTarget) -> NodePlace? {
    place(of: target).map { nodes[$0].place }
  }

  /// Who is asked there; nil where nobody is any more.
  func node(at endpoint: NodeEndpoint) -> Node? {
    place(of: endpoint).map { nodes[$0] }
  }

  /// When the next question is due, or an answer late.
  var nextAt: Duration? {
    nodes.lazy.flatMap { [$0.dueAt, $0.activeTimeDueAt, $0.lateAt] }.compactMap(\.self).min()
  }

  /// The questions that are due, each to be answered by `take`.
  mutating func due(now: Duration) -> [ProbeQuestion] {
    doubt(now: now)
    // The active one may have left the list, too.
    if searchingSince == nil, !hasActive { search(now: now) }
    var questions: [ProbeQuestion] = []
    // Two nodes whose answers change each time would have each other asked as fast as they answer.
    let rest = now + min(shortestPause, Self.activeInterval) / 2
    for index in nodes.indices {
      guard case .known(let endpoint) = nodes[index].place.endpoint else { continue }
      if let time = nodes[index].dueAt, time <= now {
        nodes[index].asking = .out(now)
        nodes[index].rest.health = rest
        questions.append(.health(endpoint))
      }
      if let time = nodes[index].activeTimeDueAt, time <= now {
        nodes[index].rest.activeTime = rest
        nodes[index].word.setActiveTime(.asked)
        questions.append(.activeTime(endpoint))
      }
    }
    return questions
  }

  /// Who is active and lets us wait is not given up, and yields to any other that says 200; so all others are asked.
  private mutating func doubt(now: Duration) {
    for index in nodes.indices {
      guard case .active(let time) = nodes[index].word, let late = nodes[index].lateAt, late <= now
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
    health state: VaultState, at endpoint: NodeEndpoint, now: Duration, random: Double
  ) {
    // A node may have left the list while it was asked.
    guard let index = place(of: endpoint) else { return }
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
    guard state.bearing == .affirms else { return }
    if !old.isActive { settleSplit(arrival: index, now: now) } else { dateAgain(index, now: now) }
  }

  private func pause(_ index: Int, now: Duration) -> Duration {
    guard let searchingSince else {
      return nodes[index].word.isActive ? min(interval, Self.activeInterval) : interval
    }
    let isLong = now - searchingSince >= Self.searchTime
    return max(min(interval, isLong ? Self.longSearchInterval : .zero), shortestPause)
  }

  /// While none is sure to be active; out of turn a node is asked after half of it at the soonest.
  private var shortestPause: Duration {
    max(min(interval, Self.searchInterval), Self.shortestInterval * nodes.count)
  }

  /// Takes the answer to `.activeTime`: nil where the node names none.
  mutating func take(activeTime: String?, at endpoint: NodeEndpoint) {
    guard let index = place(of: endpoint) else { return }
    nodes[index].word.setActiveTime(.told(activeTime.map { UTCTime($0) }))
  }

  /// Every node has been heard, or has failed to answer.
  var isComplete: Bool {
    nodes.allSatisfy {
      $0.word != .unheard && $0.word.activeTime != .wanted && $0.word.activeTime != .asked
    }
  }

  private var hasActive: Bool {
    // One that clients must not be sent to is no reason to look for no other.
    nodes.contains { $0.word.isActive && $0.place.refusal == nil }
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

  /// While two say that they are active each is asked again since when: one may have been elected anew between two probes.
  private mutating func dateAgain(_ index: Int, now: Duration) {
    guard nodes.count(where: { $0.word.isActive }) > 1, case .told = nodes[index].word.activeTime,
      now >= nodes[index].rest.activeTime + Self.datingInterval
    else { return }
    nodes[index].word.setActiveTime(.wanted)
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
  case health(NodeEndpoint)
  case activeTime(NodeEndpoint)

  var endpoint: NodeEndpoint {
    switch self {
    case .health(let endpoint), .activeTime(let endpoint): endpoint
    }
  }
}

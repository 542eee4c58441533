@testable import Discovery
import Redirect

/// What the machine has been told, kept apart from it, and what must hold of what it makes of that.
struct ClusterRecords {
  /// What a node said last.
  private enum Word: Equatable {
    case affirms(since: Int), denies, silent(times: Int), unclear
  }

  private var words: [String: Word] = [:]
  private var haveAffirmed: Set<String> = []
  /// What Consul's answers that count have said of each node last.
  private var named: [String: ClusterNode] = [:]
  /// Whom its last whole answer names; nil before the first.
  private var listed: Set<String>?
  private var lastOld: ClusterConsul.Word?
  private var doubtful: Set<String> = []
  /// When something was heard that confirms what is published.
  private var lastKnown: Int64?
  /// Since when a node could have been found.
  private var readySince: [String: Int64] = [:]
  /// Since when clients are sent to nobody who is active.
  private var unservedSince: Int64?
  private var asked: [String: [Int64]] = [:]
  /// When a lookup last found an address, when one last found several, and what the last found.
  private var foundAt: [String: Int64] = [:]
  private var severalAt: Int64?
  private var lastFound: [String: Set<String>] = [:]
  private var published: String?

  /// The most questions a second: one every 50 ms less a quarter, and some that are asked out of turn.
  private static let probesMax = 45
  private static let queriesMax = 25
  /// From knowledge to redirect, in milliseconds.
  private static let findTime: Int64 = 500

  mutating func asked(_ question: Question, now: Int64, in world: ClusterWorld) throws {
    let key: String
    switch question {
    case .consul: key = "consul"
    case .probe(.health(let endpoint)): key = world.key(of: endpoint)
    case .probe(.activeTime(let endpoint)): key = world.key(of: endpoint) + " since when"
    }
    try asked(key, now: now)
  }

  mutating func lookedUp(_ question: NameQuestion, now: Int64) throws {
    let key = "\(question)"
    let recent = (asked[key] ?? []).filter { now - $0 < 1000 } + [now]
    asked[key] = recent
    // Once a second, and out of turn after a reload.
    if recent.count > 4 {
      throw Violation(
        "no name is looked up too often", "\(question.host) \(recent.count) times in a second")
    }
  }

  mutating func found(
    _ answer: NameAnswer, of question: NameQuestion, now: Int64, in world: ClusterWorld
  ) {
    // What is asked to tell ourselves from others says nothing of where nodes are.
    guard case .success(let list) = answer, question.wantsNames == world.settings.usesTemplate
    else { return }
    let hosts = list.map(\.address.host)
    for host in hosts { foundAt[host] = now }
    if hosts.count > 1 { severalAt = now }
    lastFound[question.host] = Set(hosts)
  }

  private mutating func asked(_ key: String, now: Int64) throws {
    let recent = (asked[key] ?? []).filter { now - $0 < 1000 } + [now]
    asked[key] = recent
    if recent.count > (key == "consul" ? Self.queriesMax : Self.probesMax) {
      throw Violation("nobody is asked too often", "\(key) \(recent.count) times in a second")
    }
  }

  mutating func heard(
    _ result: Result<OutboundAnswer, OutboundFailure>, of question: Question, node: ClusterNode?,
    word: ClusterConsul.Word?, in world: ClusterWorld
  ) throws {
    switch question {
    case .consul: try heardConsul(result, word, in: world)
    case .probe(.health(let endpoint)):
      let key = world.key(of: endpoint)
      heardNode(key, result)
      if words[key] == .affirms(since: 0) { haveAffirmed.insert(key) }
      if world.settings.mode == .direct, world.published == nil, case .success = result {
        lastKnown = world.now
      }
    case .probe(.activeTime): break
    }
    if case .probe(.health(let endpoint)) = question,
      world.publishedKey == world.key(of: endpoint), case .affirms? = words[world.key(of: endpoint)]
    {
      lastKnown = world.now
    }
  }

  private mutating func heardNode(_ name: String, _ result: Result<OutboundAnswer, OutboundFailure>)
  {
    switch result {
    case .failure(let failure) where failure.kind == .refused: words[name] = .denies
    case .failure:
      // It was not to be found while this question was out.
      readySince[name] = nil
      let times = if case .silent(let times)? = words[name] { times } else { 0 }
      words[name] = .silent(times: times + 1)
    case .success(let answer):
      let text = String(decoding: answer.body, as: UTF8.self)
      let isVaults = text.hasPrefix("{\"initialized\":true")
      if isVaults, answer.status == 200, text.hasSuffix("\"standby\":false}") {
        words[name] = .affirms(since: 0)
      } else if isVaults, answer.status != 200 {
        words[name] = .denies
      } else {
        words[name] = .unclear
      }
    }
  }

  private mutating func heardConsul(
    _ result: Result<OutboundAnswer, OutboundFailure>, _ word: ClusterConsul.Word?,
    in world: ClusterWorld
  ) throws {
    guard case .success = result, let word else {
      if lastOld != nil { lastKnown = world.now }
      lastOld = nil
      return
    }
    if word.isOld {
      lastOld = word
      // Whom an old answer takes out of service may be served, and need not.
      doubtful.formUnion(word.nodes.filter { $0.isMaintained || $0.isForeign }.map(\.name))
      return
    }
    lastOld = nil
    doubtful = []
    let active = word.nodes.filter { node in
      Self.isNamedActive(node) && !(world.settings.requiresTag && node.isForeign)
    }
    let permitted = active.filter { Self.isPermitted($0, world) }
    if word.isPartial, active.isEmpty, world.settings.mode == .consul {
      // After a while it is a fact.
      if world.consul.isRebuilding { lastKnown = world.now }
      return
    }
    for node in word.nodes { named[node.name] = node }
    if !word.isPartial || word.nodes.isEmpty {
      // An empty list may be ignorance or, after a while, a fact: nobody has to be found by it.
      listed = Set(word.nodes.map(\.name))
    } else {
      listed = (listed ?? []).union(word.nodes.map(\.name))
    }
    if !word.isPartial || !active.isEmpty { lastKnown = world.now }
    guard world.settings.mode == .consul else { return }
    // Consul's word alone.
    if !permitted.isEmpty, !permitted.contains(where: { $0.name == world.published?.name }) {
      throw Violation(
        "whom consul names is found",
        "\(permitted.map(\.name)) and not \(world.published?.name ?? "none")")
    }
    if !word.isPartial, let name = world.published?.name,
      let node = word.nodes.first(where: { $0.name == name }), !Self.isNamedActive(node)
    {
      throw Violation("whom consul denies is not served", name)
    }
  }

  private static func isNamedActive(_ node: ClusterNode) -> Bool {
    node.tag == "active" && !node.serfFails && !node.checkFails && !node.isMaintained
  }

  private static func isPermitted(_ node: ClusterNode, _ world: ClusterWorld) -> Bool {
    node.isAllowed && !(world.isMoved && node.name == "vault-0")
      && !(world.settings.requiresTag && node.isForeign)
  }

  /// What must hold at any time.
  mutating func check(_ world: ClusterWorld) throws {
    let targets = (world.machine.nodes?.nodes ?? []).map(\.node.target)
    if Set(targets).count < targets.count {
      throw Violation("a node is listed once", "\(targets.map(\.authority))")
    }
    // Consul's word alone, and too old to count: an old answer may say otherwise.
    if world.settings.mode == .consul, world.machine.publisher.status.state == .expired {
      named = [:]
    }
    let name = world.publishedKey
    try checkPublished(name, world)
    try checkChange(to: name, world)
    try checkFound(name, world)
    try checkExpiry(name, world)
    published = name
  }

  private func isListed(_ name: String, _ world: ClusterWorld) -> Bool {
    guard world.settings.mode == .direct else { return listed?.contains(name) == true }
    if lastFound.values.contains(where: { $0.contains(name) }) { return true }
    // For a minute, a name that stands for several keeps those that the last answer has not named.
    return [foundAt[name], severalAt].allSatisfy { time in
      time.map { world.now - $0 < 45_000 } ?? false
    }
  }

  private func isBarred(_ name: String, _ world: ClusterWorld) -> Bool {
    guard let node = world.node(withKey: name) else { return true }
    if !node.isAllowed || world.isOurs(node, key: name) { return true }
    guard world.settings.mode != .direct, let known = named[name] else { return false }
    return known.isMaintained || (world.settings.requiresTag && known.isForeign)
  }

  private func checkPublished(_ name: String?, _ world: ClusterWorld) throws {
    guard let name else { return }
    // A name for all is not the name of this machine, even where the node behind it is.
    let isOthers =
      world.settings.sharesName && world.published?.target.host == ClusterNames.shared
      && !world.machine.localHosts.contains(name) && world.node(withKey: name)?.isAllowed == true
    if isBarred(name, world), !isOthers { throw Violation("nobody is served who is barred", name) }
    let report = world.machine.publisher.status.nodes.first {
      $0.address == world.published?.target.authority
    }
    if report?.reason != nil || report == nil {
      throw Violation(
        "reports agree with what is served", "\(name): \(report?.reason ?? "no report")")
    }
    guard world.settings.mode != .consul else { return }
    if !haveAffirmed.contains(name) { throw Violation("nobody is served who has not spoken", name) }
    switch words[name] {
    case .denies: throw Violation("whoever denies is not served", name)
    case .silent(let times) where times >= 2:
      let isHeard = words.contains { other, word in
        other != name && (word == .denies || word == .affirms(since: 0))
          && !isRefusing(other, world)
          && isListed(other, world) && !isBarred(other, world)
      }
      if isHeard { throw Violation("whoever is lost is not served", name) }
    default: break
    }
  }

  /// Nobody listens there: that says nothing of our own network.
  private func isRefusing(_ name: String, _ world: ClusterWorld) -> Bool {
    world.machine.nodes?.nodes.contains {
      $0.place.endpoint.key == name && !$0.word.state.isAnswer
    } ?? false
  }

  private func checkChange(to name: String?, _ world: ClusterWorld) throws {
    guard let old = published, old != name, world.settings.mode != .consul, !isBarred(old, world),
      words[old] == .affirms(since: 0)
    else { return }
    // Its name has another address now, of the same node or of nobody clients may be sent to.
    if let node = world.node(withKey: old), world.key(of: node) != old { return }
    if name == nil, world.machine.publisher.status.state != .expired {
      throw Violation("who says that it is active stays", old)
    }
    if let name, words[name] != .affirms(since: 0) {
      throw Violation("who says that it is active stays", "\(old), and not \(name)")
    }
  }

  private mutating func checkFound(_ name: String?, _ world: ClusterWorld) throws {
    guard world.settings.mode != .consul else { return }
    var ready: [String: Int64] = [:]
    for node in world.nodes {
      let key = world.key(of: node)
      let isReady =
        node.affirms && node.latency <= 30 && isListed(key, world) && !isBarred(key, world)
        && !doubtful.contains(key) && !world.isWaiting(for: key)
      ready[key] = isReady ? readySince[key] ?? world.now : nil
    }
    readySince = ready
    try checkSplit(name, world)
    let isServed = world.nodes.contains { world.key(of: $0) == name && $0.affirms }
    unservedSince = isServed ? nil : unservedSince ?? world.now
    guard let unservedSince, world.now - unservedSince > Self.findTime,
      let found = readySince.first(where: { world.now - $0.value > Self.findTime })
    else { return }
    throw Violation("who can be found is", "\(found.key), and not \(name ?? "none")")
  }

  /// Of two that say that they are active, and have said so for a while, the one that became so later is.
  private func checkSplit(_ name: String?, _ world: ClusterWorld) throws {
    let active = world.nodes.filter { node in
      let key = world.key(of: node)
      return readySince[key].map { world.now - $0 > 4 * Self.findTime } ?? false
        && words[key] == .affirms(since: 0)
    }
    guard let served = active.first(where: { world.key(of: $0) == name }),
      let later = active.first(where: { $0.activeSince > served.activeSince })
    else { return }
    throw Violation("the later one is served", "\(later.name), and not \(served.name)")
  }

  private func checkExpiry(_ name: String?, _ world: ClusterWorld) throws {
    let limit = world.settings.staleSeconds * 1000
    guard limit > 0, name != nil, let lastKnown else { return }
    if world.now - lastKnown > limit + 20 {
      throw Violation("what nobody confirms expires", "\(world.now - lastKnown) ms")
    }
  }
}

extension NodePlace.Endpoint {
  /// What `ClusterWorld` tells it by; nil where there is nobody to ask.
  fileprivate var key: String? {
    if case .known(let endpoint) = self {
      endpoint.addresses.first ?? endpoint.target.host
    } else {
      nil
    }
  }
}

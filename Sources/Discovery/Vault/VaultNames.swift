import Redirect
import Sys

/// The nodes behind each `--vault-addr`. A name that has several addresses (a headless service of Kubernetes, Consul's DNS) stands
/// for a node at each of them; any other for one node that is called so.
///
/// Pure: times come in, names to look up go out.
struct VaultNames {
  /// The pause between two lookups of a name.
  static let interval = Duration.seconds(10)
  /// The shortest pause, where a node fails that may have moved.
  static let shortestInterval = Duration.seconds(1)
  /// For how long an address is asked that no answer names any more: a server may name a few of many, and others each time (Consul's
  /// names three).
  static let memory = Duration.seconds(60)

  private struct Entry {
    let address: VaultAddress
    /// Nil for an address that is not to be looked up.
    let question: NameQuestion?
    var lookup = LookupTime.due(.zero)
    /// No failing node has it looked up before this time.
    var earliest = Duration.zero
    /// Those of the last answer come first, in its order.
    var found: [(address: FoundAddress, at: Duration)] = []
    /// When an answer last named several addresses of one family; nil where none has for a while.
    var severalAt: Duration?
    var failure: String?
  }

  private var entries: [Entry]
  private let template: TargetTemplate?

  init(_ source: ProbeSource) {
    template = source.template
    let wantsNames = source.template?.usesNode == true
    entries = source.addresses.map { address in
      Entry(
        address: address,
        question: !address.isNumeric || wantsNames
          ? NameQuestion(host: address.target.host, wantsNames: wantsNames) : nil)
    }
  }

  /// Every name that is looked up.
  var hosts: Set<String> { Set(entries.compactMap(\.question?.host)) }

  /// When the next lookup is due; nil where none is.
  var nextAt: Duration? {
    entries.compactMap { $0.question == nil ? nil : $0.lookup.dueAt }.min()
  }

  /// The lookups that are due, each to be answered by `take`.
  mutating func due(now: Duration) -> [NameQuestion] {
    var questions: [NameQuestion] = []
    for index in entries.indices {
      guard let question = entries[index].question, let time = entries[index].lookup.dueAt,
        time <= now
      else { continue }
      // Two ports of one host are one question.
      entries[index].lookup = .out(again: false)
      if !questions.contains(question) { questions.append(question) }
    }
    return questions
  }

  /// Has every name looked up now.
  mutating func lookUpAgain(now: Duration) {
    for index in entries.indices { entries[index].lookup.hurry(to: now) }
  }

  /// A node does not answer, or refuses: its name may have another address by now.
  mutating func nodeFailed(_ endpoint: NodeEndpoint, now: Duration) {
    for index in entries.indices where entries[index].address.target == endpoint.target {
      // One that is out began after the failure, or will tell of the same addresses.
      if entries[index].lookup.dueAt != nil {
        entries[index].lookup.hurry(to: max(now, entries[index].earliest))
      }
    }
  }

  /// What an answer changed.
  struct Change: Equatable {
    /// The name's addresses by this answer; nil where they are those of the one before.
    var addresses: [String]?
    /// Why there was none; nil where there was one, or it failed before.
    var failure: String?
    /// It had failed before, and does not any more.
    var isBack = false
  }

  /// Takes the answer to a question of `due`.
  ///
  /// - Parameter random: a number in 0..<1, for the jitter.
  mutating func take(
    _ answer: NameAnswer, to question: NameQuestion, now: Duration, random: Double
  ) -> Change {
    var change = Change()
    for index in entries.indices where entries[index].question == question {
      change = take(answer, index, now: now)
      entries[index].earliest = now + Self.shortestInterval
      let pause = entries[index].found.isEmpty ? Self.shortestInterval : Self.interval
      entries[index].lookup.settle(now: now, next: now + pause * (0.75 + 0.5 * random))
    }
    return change
  }

  private mutating func take(_ answer: NameAnswer, _ index: Int, now: Duration) -> Change {
    var change = Change()
    let old = entries[index].found
    switch answer {
    case .failure(let failure):
      // What was known stays: whether nodes are there, they say themselves.
      if entries[index].failure == nil { change.failure = failure.reason }
      entries[index].failure = failure.reason
    case .success(let list):
      change.isBack = entries[index].failure != nil
      entries[index].failure = nil
      let new = list.map { new in
        // A reverse zone that does not answer once has not forgotten the name.
        let known = old.first { $0.address.address == new.address }?.address.name
        return FoundAddress(address: new.address, name: new.name ?? known)
      }
      let rest = old.filter { known in
        known.at + Self.memory > now && !new.contains { $0.address == known.address.address }
      }
      entries[index].found = new.map { ($0, now) } + rest
      // One after the other in turn are several, too; one in the place of another is a node that has moved.
      let returned = old.contains { known in
        known.at != old.first?.at && new.contains { $0.address == known.address.address }
      }
      if Self.isSeveral(new) || returned { entries[index].severalAt = now }
      if let time = entries[index].severalAt, time + Self.memory <= now {
        entries[index].severalAt = nil
      }
      if Set(new.map(\.address))
        != Set(old.filter { $0.at == old.first?.at }.map(\.address.address))
      {
        change.addresses = new.map(\.address.host)
      }
    }
    return change
  }

  /// A host with an address of each family is one node.
  private static func isSeveral(_ list: [FoundAddress]) -> Bool {
    list.count { $0.address.family == .ipv4 } > 1 || list.count { $0.address.family == .ipv6 } > 1
  }

  /// Every name has been looked up.
  var isComplete: Bool {
    entries.allSatisfy { $0.question == nil || !$0.found.isEmpty || $0.failure != nil }
  }

  /// Everybody who is to be asked.
  var places: [NodePlace] {
    var places: [NodePlace] = []
    for entry in entries {
      for place in self.places(of: entry) {
        if let place = Self.distinct(place, from: places) { places.append(place) }
      }
    }
    return places
  }

  /// The place of a node that no answer names any more: its name may stand for several by now, and for it no longer.
  func renewed(_ place: NodePlace) -> NodePlace {
    guard case .known(let endpoint) = place.endpoint, let ip = endpoint.addresses.first,
      let address = SocketAddress(numeric: ip, port: 0),
      let entry = entries.first(where: { entry in
        entry.severalAt != nil && entry.address.target == endpoint.target
      })
    else { return place }
    let whole = entry.address.target
    guard place.node.target == self.place(whole, endpoint: whole, nil, ip).node.target,
      let target = RedirectTarget(scheme: whole.scheme, host: ip, port: whole.port)
    else { return place }
    return self.place(target, endpoint: whole, [FoundAddress(address: address, name: nil)], ip)
  }

  private func places(of entry: Entry) -> [NodePlace] {
    let target = entry.address.target
    guard entry.question != nil else { return [place(target, endpoint: target, nil, target.host)] }
    guard let first = entry.found.first else {
      let state = entry.failure.map { VaultState.unreachable($0) } ?? .unknown
      return [NodePlace(ActiveNode(target: target, name: target.origin), .missing(state))]
    }
    guard entry.severalAt != nil else {
      let current = entry.found.filter { $0.at == first.at }.map(\.address)
      return [place(target, endpoint: target, current, first.address.address.host)]
    }
    return family(entry.found.map(\.address)).compactMap { found in
      RedirectTarget(scheme: target.scheme, host: found.address.host, port: target.port).map {
        place($0, endpoint: target, [found], found.address.host)
      }
    }
  }

  /// Of a node with an address of each family one is enough: the family that the resolver prefers (RFC 6724), where it has several too.
  private func family(_ found: [FoundAddress]) -> [FoundAddress] {
    let preferred = found.filter { $0.address.family == found.first?.address.family }
    let others = found.filter { $0.address.family != found.first?.address.family }
    return preferred.count > 1 || others.count < 2 ? preferred : others
  }

  private func place(
    _ target: RedirectTarget, endpoint: RedirectTarget, _ found: [FoundAddress]?, _ ip: String
  ) -> NodePlace {
    let addresses = endpoint.isNumeric ? [] : (found ?? []).map(\.address.host)
    let endpoint = NodePlace.Endpoint.known(NodeEndpoint(endpoint, addresses: addresses))
    let node = ActiveNode(target: target, name: target.origin)
    guard let template else { return NodePlace(node, endpoint) }
    // What a node is called: by its own name, else by its address's.
    let called = target.isNumeric ? found?.first?.name : target.host
    let name = called.map { String($0.prefix { $0 != "." }) }
    guard let filled = template.target(name: name, ip: ip, of: target) else {
      let reason =
        name == nil
        ? "its address has no name, which --target-template asks for"
        : "its name gives no usable target by --target-template"
      return NodePlace(node, endpoint, refusal: Refusal(.address, reason))
    }
    return NodePlace(ActiveNode(target: filled, name: target.origin), endpoint)
  }

  /// Of two with one target only the first can be sent to: the other is shown under its own address, and why.
  private static func distinct(_ place: NodePlace, from others: [NodePlace]) -> NodePlace? {
    guard let first = others.first(where: { $0.node.target == place.node.target }) else {
      return place
    }
    guard case .known(let endpoint) = place.endpoint,
      let target = RedirectTarget(
        scheme: endpoint.target.scheme, host: endpoint.addresses.first ?? endpoint.target.host,
        port: endpoint.target.port),
      !others.contains(where: { $0.node.target == target })
    else { return nil }
    return NodePlace(
      ActiveNode(target: target, name: place.node.name), place.endpoint,
      refusal: Refusal(
        .address, "\(place.node.target.authority) is the target of \(first.node.name) too"))
  }
}

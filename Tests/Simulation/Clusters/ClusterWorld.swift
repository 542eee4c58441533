@testable import Discovery
import Logging
import Redirect
import Sys
import Telemetry

/// A cluster, its Consul and a redirector that looks at both: time is given by hand, and nothing is real but `DiscoveryMachine`.
final class ClusterWorld {
  let settings: ClusterSettings
  let machine: DiscoveryMachine
  let cell: ActiveNodeCell
  let clock = HandClock()
  var nodes: [ClusterNode]
  var consul = ClusterConsul()
  var names = ClusterNames()
  /// Who has, or had, an address.
  var owners: [String: Int] = [:]
  var renumberings = 0
  /// Lookups that are out: what comes back, and when.
  private var lookups: [(question: NameQuestion, answer: NameAnswer, at: Int64)] = []
  /// Questions that are out.
  var flights: [Flight] = []
  var records = ClusterRecords()
  var electionCount = 0
  /// Tells of every answer.
  var isTracing = false

  /// A question on its way: it arrives, and its answer comes back.
  struct Flight {
    let question: Question
    let request: OutboundRequest
    var arrivesAt: Int64
    let expiresAt: Int64
    /// Nil until it has arrived, or while nobody answers.
    var result: Result<OutboundAnswer, OutboundFailure>?
    var deliversAt: Int64
    var hasArrived = false
    /// Of Consul's answer.
    var word: ClusterConsul.Word?

    var leavesAt: Int64 { expiresAt - Int64(request.timeout.wholeMilliseconds) }
  }

  init(_ settings: ClusterSettings) throws {
    self.settings = settings
    nodes = (0..<settings.nodeCount).map { index in
      let isLast = settings.forbidsLast && index == settings.nodeCount - 1
      return ClusterNode(
        name: isLast ? "evil" : "vault-\(index)", isAllowed: !isLast,
        address: Self.address(index, !isLast, 0))
    }
    for (index, node) in nodes.enumerated() { owners[node.address] = index }
    if settings.requiresTag, nodes.count > 1 { nodes[1].isForeign = true }
    nodes[0].state = .active
    nodes[0].tag = "active"
    cell = ActiveNodeCell(
      status: DiscoveryStatus(source: settings.mode == .direct ? .probe : .consul),
      time: clock.source)
    var random = SplitMix(seed: settings.randomSeed)
    machine = DiscoveryMachine(
      try Self.configuration(settings, nodes), cell: cell, log: .silent, metrics: DiscoveryMetrics()
    ) { Double(random.next() >> 11) / Double(1 << 53) }
  }

  private static func configuration(
    _ settings: ClusterSettings, _ nodes: [ClusterNode]
  ) throws -> DiscoveryConfiguration {
    let source: DiscoveryConfiguration.Source
    if settings.mode == .direct {
      let hosts = settings.sharesName ? [ClusterNames.shared] : nodes.map(\.name)
      source = .vault(
        try ProbeSource(
          addresses: try hosts.map { try VaultAddress("https://\($0):8200") },
          template: settings.usesTemplate ? try TargetTemplate("https://{node}:8200") : nil,
          security: OutboundSecurity()))
    } else {
      let agents = (0..<settings.agentCount).map { "10.1.0.\($0 + 1):8500" }.joined(separator: ",")
      source = .consul(
        try ConsulSource(
          access: try ConsulAccess(address: agents, environment: Environment([:])),
          rules: SelectionRules(
            requiredTags: settings.requiresTag ? ["mine"] : [], scheme: .https),
          verification: settings.mode == .verified
            ? ProbeSettings(security: OutboundSecurity()) : nil))
    }
    return DiscoveryConfiguration(
      source: source, staleLimit: .seconds(settings.staleSeconds),
      vanishGrace: .seconds(settings.graceSeconds),
      targets: TargetGuard(
        allowed: settings.forbidsLast
          ? [try TargetPattern("vault*"), try TargetPattern("10.0.0.0/16")] : nil,
        listeners: SocketAddress(numeric: "0.0.0.0", port: 8200).map { [$0] } ?? []),
      version: "1")
  }

  /// An allowed node's addresses are in 10.0.0.0/16.
  static func address(_ index: Int, _ isAllowed: Bool, _ generation: Int) -> String {
    "10.\(isAllowed ? 0 : 9).\(generation % 250).\(index + 1)"
  }

  /// What tells one node from another, as the redirector sees them: by address where it looks names up itself, else by name.
  func key(of node: ClusterNode) -> String { settings.mode == .direct ? node.address : node.name }

  func key(of endpoint: NodeEndpoint) -> String { endpoint.addresses.first ?? endpoint.target.host }

  func node(withKey key: String) -> ClusterNode? {
    settings.mode == .direct ? owners[key].map { nodes[$0] } : nodes.first { $0.name == key }
  }

  /// The key of whom clients are sent to.
  var publishedKey: String? {
    guard let target = published?.target else { return nil }
    guard settings.mode == .direct else { return target.host }
    guard case .known(let endpoint)? = machine.nodes?.place(at: target)?.endpoint else {
      return "nowhere"
    }
    return key(of: endpoint)
  }

  var now: Int64 { clock.now.nanoseconds / 1_000_000 }
  var moment: Moment { clock.source.now() }
  var published: ActiveNode? { cell.load().node }

  func live(_ script: ClusterScript, step: (Int) -> Void) throws {
    try settle()
    for (index, event) in script.events.enumerated() {
      step(index)
      if event.kind == .advance {
        try advance(event.milliseconds)
      } else {
        happen(event)
        try settle()
      }
    }
  }

  /// Lets time go by, from one thing that happens to the next.
  private func advance(_ milliseconds: Int64) throws {
    let end = now + milliseconds
    var standing = 0
    while true {
      let next = nextAt
      guard next <= end else { break }
      standing = next > now ? 0 : standing + 1
      if standing > 200 { throw Violation("nothing spins", "200 turns at one time") }
      clock.advance(milliseconds: max(0, next - now))
      try settle()
    }
    clock.advance(milliseconds: end - now)
    try settle()
  }

  private var nextAt: Int64 {
    let lookups = lookups.map(\.at).min() ?? .max
    let flights = flights.map { $0.hasArrived ? $0.deliversAt : $0.arrivesAt }.min() ?? .max
    let machine = machine.nextAt.map { Int64(($0 / .nanoseconds(1_000_000)).rounded(.up)) } ?? .max
    return min(flights, lookups, max(now, machine))
  }

  /// Does everything that is due at this time, and looks.
  private func settle() throws {
    var rounds = 0
    while true {
      let isDelivered = try deliver() || deliverLookups()
      let questions = machine.lookupsDue(now: moment)
      for question in questions { try lookUp(question) }
      let asked = machine.due(now: moment)
      for (question, request) in asked { try depart(question, request) }
      try records.check(self)
      if !isDelivered, asked.isEmpty, questions.isEmpty { break }
      rounds += 1
      if rounds > 200 { throw Violation("nothing spins", "200 rounds at one time") }
    }
    if flights.isEmpty, lookups.isEmpty, machine.nextAt == nil {
      throw Violation("something is always due or out", "\(published?.name ?? "none")")
    }
  }

  private func lookUp(_ question: NameQuestion) throws {
    if lookups.contains(where: { $0.question == question }) {
      throw Violation("one lookup at a time of a name", question.host)
    }
    try records.lookedUp(question, now: now)
    let (answer, milliseconds) = names.answer(question, nodes)
    lookups.append((question, answer, now + milliseconds))
  }

  /// Gives the machine what has come back.
  private func deliverLookups() throws -> Bool {
    guard let index = lookups.firstIndex(where: { $0.at <= now }) else { return false }
    let lookup = lookups.remove(at: index)
    machine.take(lookup.answer, to: lookup.question, now: moment)
    if isTracing { Main.say("\(now) names: \(lookup) -> \(published?.target.origin ?? "none")\n") }
    if !settings.sharesName || lookup.question.host == ClusterNames.shared {
      records.found(lookup.answer, of: lookup.question, now: now, in: self)
    }
    return true
  }

  private func depart(_ question: Question, _ request: OutboundRequest) throws {
    try records.asked(question, now: now, in: self)
    if case .probe = question, flights.contains(where: { $0.question == question }) {
      throw Violation("one question at a time goes to a node", "\(question)")
    }
    let latency = node(of: question).map { nodes[$0].latency } ?? consul.latency
    let timeout = Int64(request.timeout.wholeMilliseconds)
    flights.append(
      Flight(
        question: question, request: request, arrivesAt: now + latency / 2,
        expiresAt: now + timeout, result: nil, deliversAt: now + timeout))
  }

  /// A question to this node is out, and has been for longer than an answer takes.
  func isWaiting(for key: String) -> Bool {
    flights.contains { flight in
      guard case .probe(let probe) = flight.question else { return false }
      return self.key(of: probe.endpoint) == key && now - flight.leavesAt > 100
    }
  }

  /// This redirector's machine is called so.
  var isMoved: Bool { !machine.localHosts.isEmpty }

  /// This redirector is called as the node is, or lives at its address.
  func isOurs(_ node: ClusterNode, key: String) -> Bool {
    guard isMoved else { return false }
    let goesByName = !settings.sharesName || settings.usesTemplate
    return machine.localHosts.contains(key) || (goesByName && node.name == "vault-0")
  }

  private func node(of question: Question) -> Int? {
    guard case .probe(let probe) = question else { return nil }
    // At an address that it had before there is nobody.
    return nodes.firstIndex { key(of: $0) == key(of: probe.endpoint) }
  }

  /// What arrives now is answered, and what has come back is given to the machine.
  private func deliver() throws -> Bool {
    for index in flights.indices where !flights[index].hasArrived && flights[index].arrivesAt <= now
    {
      arrive(index)
    }
    guard let index = flights.firstIndex(where: { $0.hasArrived && $0.deliversAt <= now }) else {
      return false
    }
    let flight = flights.remove(at: index)
    let result =
      flight.result ?? .failure(OutboundFailure(kind: .timedOut, reason: "timed out"))
    let wasExpired = machine.publisher.status.state == .expired
    machine.take(result, to: flight.question, now: moment)
    if isTracing { trace(flight.question, result) }
    let node = node(of: flight.question).map { nodes[$0] }
    try records.heard(result, of: flight.question, node: node, word: flight.word, in: self)
    if !wasExpired, machine.publisher.status.state == .expired {
      throw Violation("only silence expires", "an answer did")
    }
    return true
  }

  private func trace(_ question: Question, _ result: Result<OutboundAnswer, OutboundFailure>) {
    let told: String =
      switch result {
      case .failure(let failure): failure.reason
      case .success(let answer):
        "\(answer.status) \(String(decoding: answer.body, as: UTF8.self).prefix(100)) "
          + "\(answer.fields.values.sorted())"
      }
    let who: String =
      switch question {
      case .consul: "consul"
      case .probe(.health(let endpoint)): key(of: endpoint)
      case .probe(.activeTime(let endpoint)): key(of: endpoint) + " since when"
      }
    Main.say("\(now) \(who): \(told) -> \(published?.name ?? "none")\n")
  }

  private func arrive(_ index: Int) {
    let flight = flights[index]
    if let node = node(of: flight.question) {
      flights[index].hasArrived = true
      flights[index].result = nodes[node].answer(flight.request.path)
      let latency = nodes[node].latency
      if flights[index].result != nil {
        flights[index].deliversAt = min(flight.expiresAt, now + latency - latency / 2)
        // Who is too slow is not heard.
        if now + latency - latency / 2 > flight.expiresAt { flights[index].result = nil }
      }
      return
    }
    guard flight.question == .consul else {
      flights[index].hasArrived = true
      return
    }
    switch consul.answer(flight.request, nodes, askedAt: flight.expiresAt, now: now) {
    case .now(let result, let word):
      flights[index].hasArrived = true
      flights[index].word = word
      flights[index].result = result
      flights[index].deliversAt = min(flight.expiresAt, now + consul.latency / 2)
    case .never:
      flights[index].hasArrived = true
    case .later(let time):
      // Asked again at the end of the wait, or when something changes.
      flights[index].arrivesAt = max(now + 1, time)
    }
  }

  /// Consul has something new to say to whoever waits.
  func wakeQueries() {
    for index in flights.indices
    where !flights[index].hasArrived && flights[index].question == .consul {
      flights[index].arrivesAt = min(flights[index].arrivesAt, now)
    }
  }
}

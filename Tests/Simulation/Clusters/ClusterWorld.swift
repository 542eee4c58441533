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
      return ClusterNode(name: isLast ? "evil" : "vault-\(index)", isAllowed: !isLast)
    }
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
      source = .vault(
        try ProbeSource(
          addresses: try nodes.map { try VaultAddress("https://\($0.name):8200") },
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
        allowed: settings.forbidsLast ? [try TargetPattern("vault-*")] : nil,
        listeners: SocketAddress(numeric: "0.0.0.0", port: 8200).map { [$0] } ?? []),
      version: "1")
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
    let flights = flights.map { $0.hasArrived ? $0.deliversAt : $0.arrivesAt }.min() ?? .max
    let machine = machine.nextAt.map { Int64(($0 / .nanoseconds(1_000_000)).rounded(.up)) } ?? .max
    return min(flights, max(now, machine))
  }

  /// Does everything that is due at this time, and looks.
  private func settle() throws {
    var rounds = 0
    while true {
      let isDelivered = try deliver()
      let asked = machine.due(now: moment)
      for (question, request) in asked { try depart(question, request) }
      try records.check(self)
      if !isDelivered, asked.isEmpty { break }
      rounds += 1
      if rounds > 200 { throw Violation("nothing spins", "200 rounds at one time") }
    }
    if flights.isEmpty, machine.nextAt == nil {
      throw Violation("something is always due or out", "\(published?.name ?? "none")")
    }
  }

  private func depart(_ question: Question, _ request: OutboundRequest) throws {
    try records.asked(question, now: now)
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
  func isWaiting(for name: String) -> Bool {
    flights.contains { flight in
      node(of: flight.question).map { nodes[$0].name } == name && now - flight.leavesAt > 100
    }
  }

  /// This redirector's machine is called so.
  var isMoved: Bool { !machine.localHosts.isEmpty }

  private func node(of question: Question) -> Int? {
    guard case .probe(let probe) = question else { return nil }
    let target: RedirectTarget =
      switch probe {
      case .health(let target), .activeTime(let target): target
      }
    return nodes.firstIndex { $0.name == target.host }
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
      case .probe(.health(let target)): target.host
      case .probe(.activeTime(let target)): target.host + " since when"
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

import Redirect
import Telemetry

/// What is asked of whom.
enum Question: Hashable, Sendable {
  case consul
  case probe(ProbeQuestion)
}

/// Discovery without its thread and its sockets: says what to ask, takes the answers, publishes what they mean.
///
/// Confined to whoever drives it. Times are given to it, so that ten silent minutes are a number in a test.
final class DiscoveryMachine {
  private var configuration: DiscoveryConfiguration
  private let metrics: DiscoveryMetrics
  private let random: () -> Double
  let report: Publisher

  private var consul: ConsulWatch?
  private(set) var selection: NodeSelection?
  private(set) var board: ProbeBoard?
  /// When each question that is out was asked.
  private var askedAt: [Question: Moment] = [:]
  private var lastProbeAnswer: Moment?
  private var consulFailures = 0

  /// - Parameter random: numbers in 0..<1, for jitter.
  init(
    _ configuration: DiscoveryConfiguration, cell: ActiveNodeCell, log: Log,
    metrics: DiscoveryMetrics, random: @escaping () -> Double
  ) {
    self.configuration = configuration
    self.metrics = metrics
    self.random = random
    let source: DiscoveryStatus.Source
    switch configuration.source {
    case .consul(let consulSource):
      consul = ConsulWatch(
        consulSource.bounded(by: configuration.staleLimit), configuration.version)
      board = consulSource.verification.map { ProbeBoard([], interval: $0.interval) }
      source = .consul
    case .vault(let probeSource):
      board = ProbeBoard(
        probeSource.addresses.map { ActiveNode(target: $0.target, name: $0.target.origin) },
        interval: probeSource.settings.interval)
      source = .probe
    }
    report = Publisher(source: source, cell: cell, log: log, metrics: metrics)
  }

  /// What this machine is called: no target may be called so. A change acts at once on what is published.
  var localHosts: Set<String> {
    get { configuration.targets.localHosts }
    set {
      guard newValue != localHosts else { return }
      configuration.targets.localHosts = newValue
      decide()
    }
  }

  /// When `due` has something to do next, unless an answer comes before.
  var nextAt: Duration? {
    var times: [Duration] = []
    if let consul, !consul.isAsking { times.append(consul.nextAt) }
    if let next = board?.nextAt { times.append(next) }
    if let expiry { times.append(expiry) }
    return times.min()
  }

  /// The questions to ask now; each is followed by one `take`.
  func due(now: Moment) -> [(question: Question, request: OutboundRequest)] {
    expire(now: now)
    var result: [(question: Question, request: OutboundRequest)] = []
    if let request = consul?.request(now: now.monotonic) { result.append((.consul, request)) }
    if let settings = configuration.probeSettings {
      for question in board?.due(now: now.monotonic) ?? [] {
        result.append((.probe(question), request(question, settings)))
      }
    }
    for (question, _) in result { askedAt[question] = now }
    return result
  }

  private func request(_ question: ProbeQuestion, _ settings: ProbeSettings) -> OutboundRequest {
    let (target, path) =
      switch question {
      case .health(let target): (target, "/v1/sys/health")
      case .activeTime(let target): (target, "/v1/sys/leader")
      }
    return OutboundRequest(
      usesTLS: target.scheme == .https, host: target.host, port: target.port, path: path,
      fields: [("User-Agent", "vault-redirector/\(configuration.version)")],
      timeout: settings.timeout, connectTimeout: settings.timeout,
      bodyBytesMax: VaultState.bodyBytesMax, security: settings.security)
  }

  /// Takes what became of a question.
  func take(
    _ result: Result<OutboundAnswer, OutboundFailure>, to question: Question, now: Moment
  ) {
    let took = askedAt.removeValue(forKey: question).map { now.monotonic - $0.monotonic }
    metrics.count(result, of: question == .consul ? .consul : .probe, took: took ?? .zero)
    switch question {
    case .consul: takeConsul(result, now: now)
    case .probe(.health(let target)): takeHealth(result, of: target, now: now)
    case .probe(.activeTime(let target)):
      let answer: OutboundAnswer? = if case .success(let answer) = result { answer } else { nil }
      board?.take(activeTime: answer.flatMap(LeaderAnswer.activeTime), of: target)
    }
    decide()
  }

  private func takeConsul(_ result: Result<OutboundAnswer, OutboundFailure>, now: Moment) {
    guard case .consul(let source) = configuration.source,
      let finding = consul?.take(result, now: now.monotonic, random: random())
    else { return }
    metrics.update { [consul] in
      $0.knowsLeader = consul?.knowsLeader
      $0.lastContact = consul?.lastContact
    }
    switch finding {
    case .repeating: report.debug("consul's answer is old, its leader is asked")
    case .failure(let reason):
      consulFailures += 1
      report.fellSilent(reason)
    case .instances(let entries, _, let note):
      let selection = NodeSelection(entries, rules: source.rules, permission: configuration.targets)
      self.selection = selection
      board?.replace(selection.distinctNodes)
      board?.hurry(now: now.monotonic)
      report.answered(at: now, note: note)
      report.selected(selection)
      reportNodes()
    }
  }

  private func takeHealth(
    _ result: Result<OutboundAnswer, OutboundFailure>, of target: RedirectTarget, now: Moment
  ) {
    let state: VaultState =
      switch result {
      case .success(let answer): VaultState(status: answer.status)
      case .failure(let failure): .unreachable(failure.reason)
      }
    guard let old = board?.nodes.first(where: { $0.node.target == target }) else { return }
    if old.state != state { report.nodeChanged(old.node.name, from: old.state, to: state) }
    board?.take(health: state, of: target, now: now.monotonic, random: random())
    if state.isAnswer { lastProbeAnswer = now }
    reportNodes()
    guard consul == nil, let board else { return }
    switch board.verdict {
    case .blind(let reason): report.fellSilent(sanitized(reason))
    case .active, .none: report.answered(at: lastProbeAnswer ?? now, note: nil)
    case .open: break
    }
  }

  private func reportNodes() {
    if let board {
      metrics.update { values in
        values.probeStatus = board.nodes.map { ($0.node.target.origin, $0.state.status) }
        if consul == nil { values.candidates = board.nodes.count { $0.state == .active } }
      }
    }
    if let selection {
      let nodes = selection.verdicts.map { verdict in
        let probed = verdict.target.flatMap { board?.state(of: $0)?.name }
        return NodeReport(
          name: verdict.name, address: verdict.target?.authority ?? "",
          state: probed ?? verdict.role)
      }
      report.nodes(nodes, index: consul?.index)
    } else if let board {
      let nodes = board.nodes.map {
        NodeReport(name: $0.node.name, address: $0.node.target.authority, state: $0.state.name)
      }
      report.nodes(nodes, index: nil)
    }
  }

  private func decide() {
    if consul == nil, case .active(let node) = board?.verdict {
      report.forbidden(configuration.targets.refusal(of: node.target).map { [$0] } ?? [])
    }
    let judgement = Judgement(
      selection: selection, isConsulCurrent: report.status.state == .current, board: board,
      incumbent: report.published, permission: configuration.targets)
    if case .publish(let node) = judgement.decision { report.publish(node) }
  }

  /// When what is known becomes too old to be served; nil while the active node speaks for itself.
  private var expiry: Duration? {
    guard report.status.state == .silent, configuration.staleLimit > .zero,
      let last = report.status.lastSuccess
    else { return nil }
    if case .active = board?.verdict { return nil }
    return last.monotonic + configuration.staleLimit
  }

  private func expire(now: Moment) {
    guard let expiry, expiry <= now.monotonic else { return }
    report.expired()
  }

  /// Every source has been asked once: whatever is known by now is what asking once can tell.
  var hasAskedAll: Bool {
    if case .consul(let source) = configuration.source, selection == nil {
      return consulFailures >= source.access.endpoints.count
    }
    return board?.isComplete ?? true
  }

  /// Reads again what may be read again, and asks at once.
  ///
  /// - Returns: the questions to give up.
  func reload(now: Moment) -> [Question] {
    board?.hurry(now: now.monotonic)
    guard consul != nil else { return [] }
    consul?.reload()
    return [.consul]
  }
}

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
final class NodeWatch {
  private let configuration: DiscoveryConfiguration
  private let cell: ActiveNodeCell
  private let log: Log
  private let random: () -> Double

  private var consul: ConsulWatch?
  private var board: ProbeBoard?
  private var status: DiscoveryStatus
  private var hasSeenSeveral = false
  private var lastProbeAnswer: Moment?

  init(
    _ configuration: DiscoveryConfiguration, cell: ActiveNodeCell, log: Log,
    random: @escaping () -> Double
  ) {
    self.configuration = configuration
    self.cell = cell
    self.log = log
    self.random = random
    switch configuration.source {
    case .consul(let source):
      consul = ConsulWatch(source, version: configuration.version)
      status = DiscoveryStatus(source: .consul)
    case .vault(let source):
      board = ProbeBoard(
        source.addresses.map { ActiveNode(target: $0.target, name: $0.target.origin) },
        interval: source.interval)
      status = DiscoveryStatus(source: .probe)
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
    if let request = consul?.request(now: now.monotonic) {
      result.append((.consul, request))
    }
    if case .vault(let source) = configuration.source {
      for question in board?.due(now: now.monotonic) ?? [] {
        result.append((.probe(question), request(question, source: source)))
      }
    }
    return result
  }

  /// Takes what became of a question.
  func take(
    _ result: Result<OutboundAnswer, OutboundFailure>, to question: Question, now: Moment
  ) {
    switch question {
    case .consul: takeConsul(result, now: now)
    case .probe(.health(let index)): takeHealth(result, of: index, now: now)
    case .probe(.activeTime(let index)):
      board?.take(activeTime: (try? result.get()).flatMap(LeaderAnswer.activeTime), of: index)
      judgeProbes(now: now)
    }
  }

  // MARK: Consul

  private func takeConsul(_ result: Result<OutboundAnswer, OutboundFailure>, now: Moment) {
    guard let finding = consul?.take(result, now: now.monotonic, random: random()) else { return }
    switch finding {
    case .repeating:
      log.debug("consul's answer is old, asking its leader")
    case .failure(let reason):
      fellSilent(reason)
    case .instances(let entries, let note):
      guard case .consul(let source) = configuration.source else { return }
      let selection = NodeSelection(entries, rules: source.rules)
      status.index = consul?.index
      status.nodes = selection.verdicts.map {
        NodeReport(name: $0.name, address: $0.target?.authority ?? "", state: $0.role)
      }
      answered(note: note, now: now)
      warnOfSeveral(selection)
      publish(selection.chosen)
    }
  }

  private func warnOfSeveral(_ selection: NodeSelection) {
    let isSeveral = selection.candidates > 1
    defer { hasSeenSeveral = isSeveral }
    guard isSeveral, !hasSeenSeveral else { return }
    let names = selection.verdicts.filter { $0.outcome == .chosen || $0.outcome == .outranked }
      .map(\.name).joined(separator: " ")
    log.warning(
      "several nodes are active, the newest registration is taken",
      metadata: ["nodes": "\(names)", "taken": "\(selection.chosen?.name ?? "")"])
  }

  // MARK: Probes

  private func request(_ question: ProbeQuestion, source: ProbeSource) -> OutboundRequest {
    let (index, path) =
      switch question {
      case .health(let index): (index, "/v1/sys/health")
      case .activeTime(let index): (index, "/v1/sys/leader")
      }
    return OutboundRequest(
      url: source.addresses[index].target.origin + path,
      fields: [("User-Agent", "vault-redirector/\(configuration.version)")],
      timeout: source.timeout, connectTimeout: source.timeout,
      bodyBytesMax: VaultState.bodyBytesMax, security: source.security)
  }

  private func takeHealth(
    _ result: Result<OutboundAnswer, OutboundFailure>, of index: Int, now: Moment
  ) {
    let state: VaultState =
      switch result {
      case .success(let answer): VaultState(status: answer.status)
      case .failure(let failure): .unreachable(failure.reason)
      }
    guard let old = board?.nodes[index] else { return }
    if old.state != state {
      log.info(
        "vault node changed state",
        metadata: [
          "node": "\(old.node.name)", "from": "\(old.state.name)", "to": "\(state.text)",
        ])
    }
    board?.take(health: state, of: index, now: now.monotonic, random: random())
    if state.isAnswer { lastProbeAnswer = now }
    judgeProbes(now: now)
  }

  private func judgeProbes(now: Moment) {
    guard let board else { return }
    status.nodes = board.nodes.map {
      NodeReport(name: $0.node.name, address: $0.node.target.authority, state: $0.state.text)
    }
    switch board.verdict {
    case .active(let index):
      answered(note: nil, now: lastProbeAnswer ?? now)
      publish(board.nodes[index].node)
    case .none:
      answered(note: nil, now: lastProbeAnswer ?? now)
      publish(nil)
    case .blind(let reason): fellSilent(sanitized(reason))
    case .open: cell.report(status)
    }
  }

  // MARK: Facts and silence

  private func answered(note: String?, now: Moment) {
    if status.state == .silent || status.state == .expired {
      log.warning("\(sourceName) answers again")
    }
    if let note, note != status.lastError { log.warning("\(note)") }
    status.state = .current
    status.lastSuccess = now
    status.lastError = note
    cell.report(status)
  }

  /// What was known stays in force.
  private func fellSilent(_ reason: String) {
    let isFirst = status.state == .starting || status.state == .current
    if isFirst {
      let kept = cell.load().node
      log.warning(
        "\(sourceName) does not answer",
        metadata: ["reason": "\(reason)", "kept": "\(kept?.target.origin ?? "no node")"])
      status.state = .silent
    } else {
      log.debug("\(sourceName) still does not answer", metadata: ["reason": "\(reason)"])
    }
    status.lastError = sanitized(reason)
    cell.report(status)
  }

  private var sourceName: String {
    switch status.source {
    case .consul: "consul"
    case .probe: "no vault node"
    }
  }

  /// When what is known becomes too old to be served.
  private var expiry: Duration? {
    guard status.state == .silent, configuration.staleLimit > .zero, let last = status.lastSuccess
    else { return nil }
    return last.monotonic + configuration.staleLimit
  }

  private func expire(now: Moment) {
    guard let expiry, expiry <= now.monotonic else { return }
    status.state = .expired
    cell.report(status)
    log.error(
      "silent for longer than the stale limit, no node is served any more",
      metadata: ["source": "\(status.source.rawValue)", "reason": "\(status.lastError ?? "")"])
    publish(nil)
  }

  private func publish(_ node: ActiveNode?) {
    let old = cell.load().node
    guard cell.publish(node) else { return }
    log.warning(
      "active vault node changed",
      metadata: [
        "from": "\(old?.target.origin ?? "none")", "to": "\(node?.target.origin ?? "none")",
        "node": "\(node?.name ?? "none")",
      ])
  }

  /// Reads again what may be read again, and asks at once.
  ///
  /// - Returns: the questions to give up.
  func reload() -> [Question] {
    guard consul != nil else { return [] }
    consul?.reload()
    return [.consul]
  }
}

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
  var configuration: DiscoveryConfiguration
  let metrics: DiscoveryMetrics
  let random: () -> Double
  let publisher: Publisher

  var consul: ConsulWatch?
  /// Consul's last word that counts; nil where no Consul is asked, before its first, and after it has become too old.
  private(set) var catalogue: Catalogue?
  /// Who is behind each `--vault-addr`; nil where Consul is asked.
  var names: VaultNames?
  /// Names of targets that may be ourselves.
  var targetHosts = TargetHosts()
  var lookupsOut: Set<NameQuestion> = []
  /// What the nodes say themselves; nil where they are not asked.
  var nodes: VaultNodes?
  /// Those of the catalogue, or named at the start, who are asked.
  private(set) var listed: [ActiveNode] = []
  var vanishing = Vanishing.no
  /// When each question that is out was asked.
  private var askedAt: [Question: Moment] = [:]
  private var consulFailures = 0
  /// When the end of a connection counts again.
  private var nextEnd = Duration.zero

  /// Whether the published node is missing in Consul's complete answers.
  enum Vanishing: Equatable {
    case no
    case since(Duration)
    /// For longer than `--vanish-grace`.
    case forGood
  }

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
      nodes = consulSource.verification.map { VaultNodes(interval: $0.interval) }
      source = .consul
    case .vault(let probeSource):
      names = VaultNames(probeSource)
      nodes = VaultNodes(
        interval: probeSource.settings.interval, named: probeSource.addresses.count)
      source = .probe
    }
    publisher = Publisher(source: source, cell: cell, log: log, metrics: metrics)
    listNodes()
  }

  /// What this machine is called: no target may be called so. A change acts at once on what is published.
  var localHosts: Set<String> {
    get { configuration.targets.localHosts }
    set {
      guard newValue != localHosts else { return }
      configuration.targets.localHosts = newValue
      listNodes()
      decide()
    }
  }

  /// When `due` has something to do next, unless an answer comes before.
  var nextAt: Duration? {
    var times: [Duration] = []
    if let consul, !consul.isAsking { times.append(consul.nextAt) }
    if let next = nodes?.nextAt { times.append(next) }
    times += [names?.nextAt, targetHosts.nextAt].compactMap(\.self)
    if let expiry { times.append(expiry) }
    if let graceEnd { times.append(graceEnd) }
    return times.min()
  }

  /// The questions to ask now; each is followed by one `take`.
  func due(now: Moment) -> [(question: Question, request: OutboundRequest)] {
    if let expiry, expiry <= now.monotonic { expire() }
    if let graceEnd, graceEnd <= now.monotonic {
      vanishing = .forGood
      decide(now: now)
    }
    var result: [(question: Question, request: OutboundRequest)] = []
    if let request = consul?.request(now: now.monotonic) { result.append((.consul, request)) }
    if let settings = configuration.probeSettings {
      // A node that left the list while it was asked, and is back, gets the answer that is on its way.
      for question in nodes?.due(now: now.monotonic) ?? []
      where askedAt[.probe(question)] == nil {
        result.append((.probe(question), request(question, settings)))
      }
    }
    for (question, _) in result { askedAt[question] = now }
    return result
  }

  /// Takes what became of a question.
  func take(
    _ result: Result<OutboundAnswer, OutboundFailure>, to question: Question, now: Moment
  ) {
    let took = askedAt.removeValue(forKey: question).map { now.monotonic - $0.monotonic }
    metrics.count(result, of: question == .consul ? .consul : .probe, took: took ?? .zero)
    switch question {
    case .consul: takeConsul(result, now: now)
    case .probe(.health(let endpoint)): takeHealth(result, at: endpoint, now: now)
    case .probe(.activeTime(let endpoint)):
      let answer: OutboundAnswer? = if case .success(let answer) = result { answer } else { nil }
      nodes?.take(activeTime: answer.flatMap(LeaderAnswer.activeTime), at: endpoint)
    }
    decide(now: now)
    if case .probe(.health(let endpoint)) = question, let node = nodes?.node(at: endpoint),
      node.node.target == publisher.published?.target, node.word.isActive
    {
      publisher.heard(at: now)
    }
  }

  /// The idle connection to the node that was asked this has ended: something has happened there.
  func connectionEnded(_ question: Question, now: Moment) {
    guard case .probe = question, now.monotonic >= nextEnd else { return }
    // Not more often: whoever ends each connection after its answer, or sends what nobody asked for, is asked no more for it.
    nextEnd = now.monotonic + .seconds(1)
    nodes?.hurry(now: now.monotonic)
  }

  private func takeConsul(_ result: Result<OutboundAnswer, OutboundFailure>, now: Moment) {
    guard case .consul(let source) = configuration.source,
      let finding = consul?.take(result, now: now.monotonic, random: random())
    else { return }
    metrics.update { [consul] in
      $0.knowsLeader = consul?.freshness?.knowsLeader
      $0.lastContact = consul?.freshness?.lastContact
    }
    switch finding {
    case .repeating: publisher.debug("consul's answer is old, its leader is asked")
    case .failure(let reason):
      consulFailures += 1
      publisher.fellSilent(reason)
    case .instances(let entries, let completeness, let note):
      takeCatalogue(
        Catalogue(entries, rules: source.rules, completeness: completeness), note: note, now: now)
    }
  }

  private func takeCatalogue(_ new: Catalogue, note: String?, now: Moment) {
    switch new.completeness {
    case .complete:
      catalogue = new
      publisher.answered(at: now, note: note)
    case .partial:
      // Whom it names as active is; nobody is missing in it.
      if nodes != nil {
        catalogue = catalogue.map { new.completed(by: $0) } ?? new
      } else if new.namesActive || catalogue == nil {
        catalogue = new
      }
      if new.namesActive {
        publisher.answered(at: now, note: note)
      } else {
        publisher.fellSilent(note ?? "consul's answer is not whole", .hidden)
      }
    case .outdated:
      publisher.fellSilent(note ?? "consul's answer is old", .old)
      publisher.heard(at: now)
      // Better than nothing, and no more.
      guard catalogue == nil || (catalogue?.completeness == .outdated && publisher.published == nil)
      else { return }
      catalogue = new
    }
    // Nodes that a partial answer does not name may be there none the less.
    let old = new.completeness == .complete ? [] : listed
    listed = new.askable + old.filter { new.registration(of: $0.target) == nil }
    listNodes()
    nodes?.hurry(now: now.monotonic)
  }

  func decide(now: Moment? = nil) {
    noteVanishing(now: now)
    let selection = selection
    let decision = selection.decision
    publisher.seen(selection, catalogue, index: consul?.index)
    if case .publish(let node) = decision, node != publisher.published || !publisher.hasPublished {
      publisher.publish(node)
      vanishing = .no
      listNodes()
    }
  }

  /// Begins and ends the time for which a node that has only vanished stays.
  private func noteVanishing(now: Moment?) {
    guard let published = publisher.published, let catalogue,
      catalogue.completeness == .complete, catalogue.registration(of: published.target) == nil
    else {
      vanishing = .no
      return
    }
    if vanishing == .no, let now { vanishing = .since(now.monotonic) }
  }

  private func expire() {
    catalogue = nil
    publisher.expired()
  }

  /// Every source has been asked once: whatever is known by now is what asking once can tell.
  var hasAskedAll: Bool {
    if case .consul(let source) = configuration.source, catalogue == nil {
      return consulFailures >= source.access.endpoints.count
    }
    return names?.isComplete != false && nodes?.isComplete != false
  }

  /// Reads again what may be read again, and asks everybody at once. All questions that are out are given up by it: no answer to them
  /// may be given to `take` any more.
  func reload(now: Moment) {
    askedAt = [:]
    nodes?.askAgain(now: now.monotonic)
    names?.lookUpAgain(now: now.monotonic)
    targetHosts.lookUpAgain(now: now.monotonic)
    consul?.reload()
  }
}

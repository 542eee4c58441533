import Redirect

// Nodes that are asked themselves: where they are, and what they say.
extension DiscoveryMachine {
  /// The names to look up now, each once; each is followed by one `take`.
  func lookupsDue(now: Moment) -> [NameQuestion] {
    let nodes = names?.due(now: now.monotonic) ?? []
    let hosts = targetHosts.due(now: now.monotonic)
    let new = (nodes + hosts.filter { !nodes.contains($0) }).filter { !lookupsOut.contains($0) }
    lookupsOut.formUnion(new)
    return new
  }

  /// For so long at most a node's certificate is not verified again.
  private static let connectionAgeMax = Duration.seconds(60)

  func request(_ question: ProbeQuestion, _ settings: ProbeSettings) -> OutboundRequest {
    let endpoint = question.endpoint
    let path = if case .health = question { "/v1/sys/health" } else { "/v1/sys/leader" }
    return OutboundRequest(
      usesTLS: endpoint.target.scheme == .https, host: endpoint.target.host,
      port: endpoint.target.port, addresses: endpoint.addresses, path: path,
      fields: [("User-Agent", "vault-redirector/\(configuration.version)")],
      timeout: settings.timeout, connectTimeout: settings.timeout,
      bodyBytesMax: VaultState.bodyBytesMax, security: settings.security,
      connectionAgeMax: Self.connectionAgeMax, watchesConnection: path == "/v1/sys/health")
  }

  /// Takes what became of a lookup.
  func take(_ answer: NameAnswer, to question: NameQuestion, now: Moment) {
    lookupsOut.remove(question)
    metrics.count(answer)
    if case .success(let list) = answer {
      configuration.targets.found[question.host] = list.map(\.address)
    }
    targetHosts.take(question, now: now.monotonic)
    if let change = names?.take(answer, to: question, now: now.monotonic, random: random()) {
      publisher.lookedUp(question.host, change)
    }
    listNodes()
    noteSilence()
    decide(now: now)
  }

  /// Has those names looked up that may be ourselves.
  func noteHosts() {
    let targets =
      (catalogue?.distinct ?? []).compactMap(\.target) + (nodes?.nodes ?? []).map(\.node.target)
    let hosts = targets.filter(configuration.targets.wantsAddresses).map(\.host)
    targetHosts.replace(Set(hosts))
    let known = Set(hosts).union(names?.hosts ?? [])
    configuration.targets.found = configuration.targets.found.filter { known.contains($0.key) }
  }

  /// Who is published is asked as long as it is, registered or not; by Consul's list nobody whom clients must not be sent to.
  func listNodes() {
    defer { noteHosts() }
    guard let old = nodes else { return }
    var places = names?.places ?? listed.map { NodePlace($0) }
    var incumbent: (old: NodePlace, new: NodePlace)?
    if let published = publisher.published {
      let place = old.place(at: published.target) ?? NodePlace(published)
      let index =
        places.firstIndex { $0.node.target == published.target }
        ?? places.firstIndex { $0.isSame(as: place) }
      let current = index.map { places.remove(at: $0) } ?? names?.renewed(place) ?? place
      // Among the first, of whom all are asked.
      places.insert(current, at: 0)
      incumbent = (place, current)
    }
    nodes?.replace(
      places.compactMap { place in
        guard let reason = configuration.targets.refusal(of: place.node.target) else {
          return place
        }
        var barred = place
        barred.refusal = place.refusal ?? Refusal(.forbidden, reason)
        return consul == nil ? barred : nil
      })
    guard let incumbent else { return }
    if !incumbent.new.isSame(as: incumbent.old) {
      // Its name has another address: whoever is there has not spoken yet.
      publisher.publish(nil)
    } else if incumbent.new.node != incumbent.old.node {
      // The same node, which clients reach by another name from now on, or not at all.
      let place = nodes?.place(at: incumbent.new.node.target)
      publisher.publish(place?.refusal == nil ? place?.node : nil)
    }
  }

  func takeHealth(
    _ result: Result<OutboundAnswer, OutboundFailure>, at endpoint: NodeEndpoint, now: Moment
  ) {
    let state: VaultState =
      switch result {
      case .success(let answer): VaultState(answer)
      case .failure(let failure): VaultState(failure)
      }
    guard let old = nodes?.node(at: endpoint) else { return }
    if old.word.state != state {
      publisher.nodeChanged(old.node.name, from: old.word.state, to: state)
    }
    nodes?.take(health: state, at: endpoint, now: now.monotonic, random: random())
    if !state.isAnswer { names?.nodeFailed(endpoint, now: now.monotonic) }
    guard consul == nil, nodes?.isHeard == true else { return noteSilence() }
    // Another node's word confirms nothing of the one that clients are sent to.
    let confirms = publisher.published == nil
    if state.isAnswer { publisher.answered(at: now, note: nil, confirms: confirms) }
  }

  /// All nodes have been asked, and none has answered.
  private func noteSilence() {
    guard let names, names.isComplete, let nodes, nodes.isComplete, !nodes.isHeard else { return }
    publisher.fellSilent(nodes.silence)
  }
}

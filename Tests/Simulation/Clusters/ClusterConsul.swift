@testable import Discovery

/// Consul, as the redirector's agent shows it.
struct ClusterConsul {
  enum Agent {
    case well, down, hung
  }

  var agents = [Agent.well, .well]
  var hasLeader = true
  /// The token sees nothing, or not this node.
  var hidden: Hidden = .nothing
  var index = 100_000
  var latency: Int64 = 2
  /// The catalogue is being made again: nobody is in it until then.
  var isRebuilding = false

  enum Hidden: Equatable {
    case nothing, everything, node(Int)
  }

  /// What an answer amounts to, for whoever checks what is made of it.
  struct Word {
    var nodes: [ClusterNode]
    /// Some nodes may be missing.
    var isPartial: Bool
    /// Nobody leads the server that gave it.
    var isOld: Bool
  }

  enum Reply {
    case now(Result<OutboundAnswer, OutboundFailure>, Word?)
    case never
    /// A blocking query: not before something changes, or this time.
    case later(Int64)
  }

  mutating func happen(_ event: ClusterEvent, nodeCount: Int) {
    let agent = Int(event.a) % agents.count
    switch event.kind {
    case .agentDown: agents[agent] = .down
    case .agentHung: agents[agent] = .hung
    case .agentUp: agents = [.well, .well]
    case .loseLeader: hasLeader = false
    case .findLeader: hasLeader = true
    case .hide: hidden = event.b & 1 == 0 ? .everything : .node(Int(event.a) % nodeCount)
    case .show:
      hidden = .nothing
      if isRebuilding { index += 1 }
      isRebuilding = false
    case .rebuild:
      isRebuilding = true
      index = max(1, index / 2)
    default: break
    }
  }

  func answer(
    _ request: OutboundRequest, _ nodes: [ClusterNode], askedAt expiresAt: Int64, now: Int64
  ) -> Reply {
    switch agents[request.host == "10.1.0.1" ? 0 : 1] {
    case .down: return .now(.failure(OutboundFailure(kind: .refused, reason: "refused")), nil)
    case .hung: return .never
    case .well: break
    }
    let isStale = request.path.contains("?stale")
    if !isStale, !hasLeader {
      return .now(.success(ClusterNode.answer(500, "No cluster leader")), nil)
    }
    if let asked = Self.number("index=", in: request.path), asked >= index,
      let wait = Self.number("wait=", in: request.path)
    {
      // Where Consul's own time is over it answers what it had answered before.
      let end = expiresAt - Int64(request.timeout.wholeMilliseconds) + Int64(wait)
      if now < end { return .later(end) }
    }
    var seen = nodes.filter { $0.isRegistered && !isRebuilding }
    var answer = OutboundAnswer(status: 200)
    switch hidden {
    case .nothing: break
    case .everything: seen = []
    case .node(let index): seen.removeAll { $0.name == nodes[index].name }
    }
    if hidden != .nothing { answer.fields["x-consul-results-filtered-by-acls"] = "true" }
    answer.fields["x-consul-index"] = "\(index)"
    answer.fields["x-consul-knownleader"] = hasLeader ? "true" : "false"
    answer.fields["x-consul-lastcontact"] = "0"
    answer.body = Array("[\(seen.map(\.entry).joined(separator: ","))]".utf8)
    return .now(
      .success(answer),
      Word(nodes: seen, isPartial: hidden != .nothing || isRebuilding, isOld: !hasLeader))
  }

  private static func number(_ name: String, in path: String) -> Int? {
    guard let start = path.range(of: name) else { return nil }
    return Int(path[start...].prefix { $0.isNumber })
  }
}

extension String {
  /// What follows the first `text`; the standard library has no search of its own for strings.
  fileprivate func range(of text: String) -> Index? {
    var start = startIndex
    while start < endIndex {
      if self[start...].hasPrefix(text) { return index(start, offsetBy: text.count) }
      start = index(after: start)
    }
    return nil
  }
}

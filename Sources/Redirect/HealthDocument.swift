import HTTP1

/// The answer to `GET /vault-redirector-health`: the seed's keys, and how old the knowledge is.
package struct HealthDocument: Sendable {
  /// The most bytes of `body`, so that it fits `responseBytesMax` with its head.
  package static let bodyBytesMax = 7 * 1024

  /// The active node is known, or was a moment ago (`RedirectSettings.healthGrace`), and something has confirmed that not too long
  /// ago (`healthStale`).
  package let isHealthy: Bool
  /// A JSON object.
  package let body: [UInt8]

  package init(_ snapshot: ActiveNodeSnapshot, settings: RedirectSettings, now: Moment) {
    let isInGrace = Self.isInGrace(snapshot, grace: settings.healthGrace, now: now)
    let status = snapshot.status
    let isStale = Self.isStale(status, limit: settings.healthStale, now: now)
    isHealthy = (snapshot.node != nil || isInGrace) && !isStale
    let age = status.lastSuccess.map { (now.monotonic - $0.monotonic).components.seconds }
    let isConsul = status.source == .consul

    var json = JSONText()
    json.open("{")
    json.member("healthy", isHealthy)
    json.member("application", "vault-redirector")
    json.member("version", settings.version)
    json.member("source", settings.sourceURL)
    json.member("consul_host_port", settings.consulHostPort.map { clipped($0) })
    json.member("active_vault", snapshot.node?.target.authority)
    json.member(
      "last_consul_poll",
      isConsul ? status.lastSuccess.map { timestamp(epochSeconds: $0.epochSeconds) } : nil)
    json.member("since", snapshot.since.map { timestamp(epochSeconds: $0.epochSeconds) })
    if isInGrace { json.member("in_grace", true) }
    if isStale { json.member("stale", true) }
    json.open("{", key: "discovery")
    json.member("source", status.source.rawValue)
    json.member("state", status.state.rawValue)
    json.member("age_seconds", age)
    json.member("last_error", status.lastError.map { clipped($0) })
    Self.append(status.nodes, to: &json)
    json.close("}")
    json.close("}")
    body = json.bytes
  }

  /// An election is not an outage: a load balancer that drops every redirector for it would prolong it.
  private static func isInGrace(
    _ snapshot: ActiveNodeSnapshot, grace: Duration, now: Moment
  ) -> Bool {
    guard snapshot.node == nil, snapshot.previous != nil, let since = snapshot.since else {
      return false
    }
    return now.monotonic - since.monotonic < grace
  }

  /// Who is cut off from the source may be sending clients to a node that has died since. A load balancer that finds all of its targets
  /// so sends to all of them (AWS's documentation, "fail open"): redirects go on.
  private static func isStale(_ status: DiscoveryStatus, limit: Duration, now: Moment) -> Bool {
    guard limit > .zero, status.state == .silent || status.state == .expired,
      let last = status.lastKnown ?? status.lastSuccess
    else { return false }
    return now.monotonic - last.monotonic >= limit
  }

  private static func append(_ nodes: [NodeReport], to json: inout JSONText) {
    // Two closing braces, a bracket and the count of those left out follow the last node.
    let room = bodyBytesMax - 64
    json.open("[", key: "nodes")
    var written = 0
    for node in nodes {
      var next = json
      next.open("{")
      next.member("name", clipped(node.name))
      next.member("address", clipped(node.address))
      next.member("state", clipped(node.state))
      if let reason = node.reason { next.member("reason", clipped(reason)) }
      next.close("}")
      if next.bytes.count > room { break }
      json = next
      written += 1
    }
    json.close("]")
    if written < nodes.count { json.member("nodes_left_out", Int64(nodes.count - written)) }
  }
}

/// The beginning of a text that came from elsewhere, short enough for six of them escaped in one document.
private func clipped(_ text: String) -> String {
  text.utf8.count <= DiscoveryStatus.errorBytesMax
    ? text : String(decoding: text.utf8.prefix(DiscoveryStatus.errorBytesMax), as: UTF8.self)
}

/// A time as RFC 3339 writes it, in UTC: `2026-11-21T22:49:37Z`.
package func timestamp(epochSeconds: Int64) -> String {
  let (days, second) = Int(max(0, epochSeconds)).quotientAndRemainder(dividingBy: 86_400)
  let (year, month, day) = civilDate(daysSinceEpoch: days)
  func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
  return "\(year)-\(two(month))-\(two(day))T"
    + "\(two(second / 3600)):\(two(second / 60 % 60)):\(two(second % 60))Z"
}

import Redirect

/// Which of an instance's addresses clients are sent to.
package enum TargetRule: Hashable, Sendable {
  /// Consul's node name.
  case node
  /// The node's address.
  case ip
  /// The service's address, else the node's: what Vault's own redirects name.
  case service
  /// The addresses tagged `wan` or `lan`: the service's, else the node's.
  case wan
  case lan
  /// A URL with placeholders, its own scheme included.
  case template(TargetTemplate)
}

extension TargetRule {
  /// Where clients of this instance would be sent, or why there is no such place.
  func resolve(
    _ entry: ServiceEntry, scheme: RedirectTarget.Scheme
  ) -> (target: RedirectTarget?, refusal: String?) {
    guard (1...65_535).contains(entry.port) || usesTaggedPort(entry) else {
      return (nil, "port \(entry.port) is not usable")
    }
    if case .template(let template) = self {
      let target = template.target(of: entry)
      return (target, target == nil ? "the target template gives no usable host" : nil)
    }
    let (host, port) = address(of: entry)
    if host.isEmpty { return (nil, "it has no address") }
    guard let number = UInt16(exactly: port),
      let target = RedirectTarget(scheme: scheme, host: host, port: number)
    else { return (nil, "\(sanitized(host)) port \(port) is not usable") }
    return (target, nil)
  }

  private func usesTaggedPort(_ entry: ServiceEntry) -> Bool {
    (self == .wan || self == .lan) && address(of: entry).port != entry.port
  }

  /// The host and the port by this rule; the port as Consul has it, usable or not.
  func address(of entry: ServiceEntry) -> (host: String, port: Int) {
    switch self {
    case .node: (entry.nodeName, entry.port)
    case .ip: (entry.nodeAddress, entry.port)
    case .service, .template:
      (entry.serviceAddress.isEmpty ? entry.nodeAddress : entry.serviceAddress, entry.port)
    case .wan: Self.tagged("wan", of: entry)
    case .lan: Self.tagged("lan", of: entry)
    }
  }

  /// What Consul itself would answer to a client of that network: the service's tag first, then the node's. The
  /// `…_ipv4` tags are copies that Consul makes of the plain address: last.
  private static func tagged(_ tag: String, of entry: ServiceEntry) -> (host: String, port: Int) {
    if let found = entry.serviceTaggedAddresses[tag] { return (found.address, found.port) }
    if let found = entry.nodeTaggedAddresses[tag] { return (found, entry.port) }
    for family in ["_ipv4", "_ipv6"] {
      if let found = entry.serviceTaggedAddresses[tag + family] {
        return (found.address, found.port)
      }
    }
    return ("", entry.port)
  }
}

package import Redirect

/// A target written with placeholders: `https://{node}.vault.example.com:{port}`.
package struct TargetTemplate: Hashable, Sendable {
  private enum Part: Hashable, Sendable {
    case text(String)
    case node, ip, address, port, datacenter
  }

  package let scheme: RedirectTarget.Scheme
  private let host: [Part]
  private let port: [Part]

  /// The placeholders: Consul's node name, its address, the service's address (else the node's), the service's
  /// port, and the datacenter.
  package static let placeholders = ["node", "ip", "address", "port", "dc"]

  /// Reads `scheme://host[:port]`; the port is the service's where it is left out.
  ///
  /// - Throws: an error naming `--target-template`.
  package init(_ text: String, option: String = "--target-template") throws(DiscoveryError) {
    func invalid(_ reason: String) -> DiscoveryError { .invalid(option: option, reason: reason) }
    let rest: Substring
    if text.hasPrefix("https://") {
      (scheme, rest) = (.https, text.dropFirst("https://".count))
    } else if text.hasPrefix("http://") {
      (scheme, rest) = (.http, text.dropFirst("http://".count))
    } else {
      throw invalid("begins with neither https:// nor http://")
    }
    let parts = rest.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count <= 2, let first = parts.first, !first.isEmpty else {
      throw invalid("is not scheme://host:port")
    }
    host = try Self.parse(first, invalid: invalid)
    port = parts.count == 2 ? try Self.parse(parts[1], invalid: invalid) : [.port]
    let sample = Values(node: "node", ip: "192.0.2.1", address: "address", port: 8200, dc: "dc1")
    guard target(sample) != nil else {
      throw invalid(
        "gives no URL; placeholders stand for parts of a host or its port, no path follows")
    }
  }

  private static func parse(
    _ text: Substring, invalid: (String) -> DiscoveryError
  ) throws(DiscoveryError) -> [Part] {
    var parts: [Part] = []
    var rest = text
    while !rest.isEmpty {
      guard rest.first == "{" else {
        let plain = rest.prefix { $0 != "{" }
        parts.append(.text(String(plain)))
        rest = rest[plain.endIndex...]
        continue
      }
      guard let end = rest.firstIndex(of: "}") else { throw invalid("a { is not closed") }
      switch rest[rest.index(after: rest.startIndex)..<end] {
      case "node": parts.append(.node)
      case "ip": parts.append(.ip)
      case "address": parts.append(.address)
      case "port": parts.append(.port)
      case "dc": parts.append(.datacenter)
      case let name:
        throw invalid(
          "{\(sanitized(String(name)))} is unknown; there are "
            + placeholders.map { "{\($0)}" }.joined(separator: " "))
      }
      rest = rest[rest.index(after: end)...]
    }
    return parts
  }

  private struct Values {
    let node, ip, address: String
    let port: Int
    let dc: String
  }

  private func target(_ values: Values) -> RedirectTarget? {
    func fill(_ parts: [Part]) -> String {
      parts.map { part in
        switch part {
        case .text(let text): text
        case .node: values.node
        case .ip: values.ip
        case .address: values.address
        case .port: "\(values.port)"
        case .datacenter: values.dc
        }
      }.joined()
    }
    guard let number = UInt16(fill(port)) else { return nil }
    return RedirectTarget(scheme: scheme, host: fill(host), port: number)
  }

  /// A target by this template, for a node that is asked itself.
  ///
  /// - Parameters:
  ///   - name: the first label of what it is called; nil where it is not called anything.
  ///   - ip: its address.
  ///   - given: as `--vault-addr` names it.
  /// - Returns: nil where the filled template is no usable target.
  func target(name: String?, ip: String, of given: RedirectTarget) -> RedirectTarget? {
    if usesNode, name == nil { return nil }
    return target(
      Values(
        node: name ?? "", ip: ip, address: given.host, port: Int(given.port), dc: ""))
  }

  /// `{node}` stands in it.
  var usesNode: Bool { host.contains(.node) || port.contains(.node) }

  /// - Throws: an error naming the option, where the template asks for what only Consul knows, or says the same of every node.
  package func checkWithoutConsul(option: String = "--target-template") throws(DiscoveryError) {
    let parts = host + port
    guard !parts.contains(.datacenter) else {
      throw .invalid(
        option: option, reason: "{dc} is Consul's to say: with --vault-addr there is none")
    }
    guard parts.contains(where: { $0 == .node || $0 == .ip || $0 == .address }) else {
      throw .invalid(
        option: option, reason: "names one target for all nodes; write {node}, {ip} or {address}")
    }
  }

  /// Nil where the filled template is no usable target.
  func target(of entry: ServiceEntry) -> RedirectTarget? {
    target(
      Values(
        node: entry.nodeName, ip: entry.nodeAddress,
        address: entry.serviceAddress.isEmpty ? entry.nodeAddress : entry.serviceAddress,
        port: entry.port, dc: entry.datacenter))
  }
}

import Sys

/// Where a Consul agent listens.
package struct ConsulEndpoint: Hashable, Sendable {
  /// The transport and its address.
  package enum Place: Hashable, Sendable {
    /// A name or an address without brackets.
    case tcp(host: String, port: UInt16)
    /// An absolute path.
    case unix(path: String)
  }

  package let place: Place
  package let usesTLS: Bool
  /// Put before every path: empty, or begins with `/` and does not end with it.
  package let pathPrefix: String

  /// The port of a Consul agent, where the address names none.
  package static let defaultPort: UInt16 = 8500

  /// Reads what `CONSUL_HTTP_ADDR` may hold: `host:port`, `http://…`, `https://…`, `unix:///path`.
  ///
  /// - Parameters:
  ///   - forcesTLS: TLS was asked for elsewhere (`CONSUL_HTTP_SSL`): `http://` does not take it back.
  ///   - option: what an error names.
  package init(_ text: String, forcesTLS: Bool, option: String) throws(DiscoveryError) {
    func invalid(_ reason: String) -> DiscoveryError { .invalid(option: option, reason: reason) }
    guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }), !text.isEmpty else {
      throw invalid("\(quotedAddress(text)) is not an address; write host:port")
    }
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, parts[1].hasPrefix("//") else {
      (place, pathPrefix) = try Self.parse(
        text[...], defaultPort: Self.defaultPort, invalid: invalid)
      usesTLS = forcesTLS
      return
    }
    let rest = parts[1].dropFirst(2)
    switch parts[0].lowercased() {
    case "unix":
      guard rest.hasPrefix("/"), rest.utf8.count <= 107 else {
        throw invalid("a Unix socket is written unix:///absolute/path, of at most 107 bytes")
      }
      place = .unix(path: String(rest))
      pathPrefix = ""
      usesTLS = forcesTLS
    case "http":
      (place, pathPrefix) = try Self.parse(
        rest, defaultPort: forcesTLS ? 443 : 80, invalid: invalid)
      usesTLS = forcesTLS
    case "https":
      (place, pathPrefix) = try Self.parse(rest, defaultPort: 443, invalid: invalid)
      usesTLS = true
    default:
      throw invalid("unknown scheme \(quotedAddress(parts[0])); use http, https or unix")
    }
  }

  private static func parse(
    _ text: Substring, defaultPort: UInt16, invalid: (String) -> DiscoveryError
  ) throws(DiscoveryError) -> (Place, String) {
    let slash = text.firstIndex(of: "/") ?? text.endIndex
    guard let authority = Authority(text[..<slash]) else {
      throw invalid(
        "\(quotedAddress(text)) does not begin with host:port; an IPv6 address stands in brackets")
    }
    var prefix = text[slash...]
    while prefix.hasSuffix("/") { prefix.removeLast() }
    guard !prefix.contains(where: { $0 == "?" || $0 == "#" }) else {
      throw invalid(
        "\(quotedAddress(text)) has a query or a fragment; only a path may follow the address")
    }
    return (.tcp(host: authority.host, port: authority.port ?? defaultPort), String(prefix))
  }

  /// On this machine, by its address alone: 127.0.0.0/8, ::1, `localhost` or a Unix socket.
  package var isLocal: Bool {
    switch place {
    case .unix: true
    case .tcp(let host, _):
      host.lowercased() == "localhost"
        || SocketAddress(numeric: host, port: 0)?.isLoopback == true
    }
  }

  /// `host:port` or `unix:///path`: for logs and health.
  package var description: String {
    switch place {
    case .tcp(let host, let port): "\(bracketed(host)):\(port)"
    case .unix(let path): "unix://\(path)"
    }
  }
}

/// `host`, `host:port`, `[address]` or `[address]:port`.
struct Authority: Equatable {
  let host: String
  let port: UInt16?

  init?(_ text: some StringProtocol) {
    let text = String(text)
    var host = text[...]
    var portText: Substring?
    if text.hasPrefix("[") {
      guard let end = text.firstIndex(of: "]") else { return nil }
      host = text[text.index(after: text.startIndex)..<end]
      let rest = text[text.index(after: end)...]
      guard rest.isEmpty || rest.hasPrefix(":") else { return nil }
      if !rest.isEmpty { portText = rest.dropFirst() }
      guard host.contains(":") else { return nil }
    } else if let colon = text.firstIndex(of: ":") {
      host = text[..<colon]
      portText = text[text.index(after: colon)...]
    }
    if let portText {
      // UInt16's own parser would take a sign.
      guard portText.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
        let port = UInt16(portText), port > 0
      else { return nil }
      self.port = port
    } else {
      port = nil
    }
    let forbidden: Set<Character> = ["/", "?", "#", "@", "[", "]", " ", "%"]
    guard !host.isEmpty, host.allSatisfy({ !forbidden.contains($0) }) else { return nil }
    self.host = String(host)
  }
}

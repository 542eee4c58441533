/// How the other side of a TLS connection is checked, and what we show it.
package struct OutboundSecurity: Hashable, Sendable {
  /// PEM files and directories; nil: the system's own trust.
  package var authorityFile: String?
  package var authorityDirectory: String?
  /// PEM files, both or neither.
  package var certificateFile: String?
  package var keyFile: String?
  /// The name to ask for (SNI) and to check, where it is not the URL's host.
  package var serverName: String?
  /// False accepts any certificate: whoever sets it has been asked for it by name.
  package var verifies = true

  package init() {}
}

/// One GET, whole: what a transfer needs to know.
struct OutboundRequest: Sendable {
  var usesTLS: Bool
  /// A name, or an address without brackets.
  var host: String
  var port: UInt16
  /// Where the host is to be found; empty: it is looked up for each connection.
  var addresses: [String] = []
  /// The Unix socket to connect to instead.
  var unixSocket: String?
  /// The path and the query.
  var path: String
  /// Field names and values; tokens travel here and nowhere else.
  var fields: [(name: String, value: String)] = []
  /// `user:password` for Basic authentication (RFC 7617).
  var credentials: String?
  /// From the first packet to the last byte of the body.
  var timeout: Duration
  var connectTimeout: Duration
  var bodyBytesMax: Int
  var security: OutboundSecurity
  /// A connection that is older is not used again: certificates are verified anew. Nil: it is used for as long as it lasts.
  var connectionAgeMax: Duration?
  /// The end of the connection that it leaves open is told of.
  var watchesConnection = false

  /// `host:port`, an IPv6 address in brackets.
  var authority: String { bracketed(host) + ":\(port)" }

  var url: String { "\(usesTLS ? "https" : "http")://\(authority)\(path)" }

  /// The name that TLS asks for and checks, where it is another than the host's: the connection still goes to the host.
  var serverName: String? {
    guard usesTLS, let name = security.serverName, name != host else { return nil }
    return name
  }

  /// Where to connect to, whatever the URL says: nil for the URL's own host.
  var connectsTo: String? {
    if let pinned { return "\(pinned):\(port)" }
    return serverName.map { _ in authority }
  }

  /// What stands for the addresses; nil where there are none. It changes with them, so that no kept connection goes elsewhere.
  var pinned: String? {
    guard let first = addresses.first else { return nil }
    if addresses.count == 1 { return bracketed(first) }
    let label = addresses.joined(separator: "_").map { $0 == "." || $0 == ":" ? "-" : $0 }
    // No name server is asked for it (RFC 6761 §6.4): `pinnedAddresses` says where it is. To begin with `-` or `+` means something else there.
    return "at-" + String(label) + ".invalid"
  }

  /// For CURLOPT_RESOLVE(3), which keeps it no longer than any other address; nil where there are no addresses, or one, which needs no name.
  var pinnedAddresses: String? {
    guard addresses.count > 1, let pinned else { return nil }
    return "+\(pinned):\(port):" + addresses.map(bracketed).joined(separator: ",")
  }

  /// The URL with that name in the place of the host.
  var urlByServerName: String {
    guard let serverName else { return url }
    return "https://\(bracketed(serverName)):\(port)\(path)"
  }
}

/// A host as it stands in a URL (RFC 3986 §3.2.2).
func bracketed(_ host: String) -> String {
  host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host
}

/// What came back: any status.
struct OutboundAnswer: Sendable {
  var status: Int
  /// Names in lower case; of a name that occurs twice the last value.
  var fields: [String: String] = [:]
  var body: [UInt8] = []
}

/// Why there is no whole answer.
struct OutboundFailure: Error, Equatable, Sendable {
  enum Kind: String, Sendable {
    /// Nobody listens there.
    case refused
    /// The connection was reset, or ended without an answer.
    case reset
    /// Nobody could be reached.
    case unreachable
    /// The name has no address.
    case unresolved
    case timedOut = "timeout"
    /// The connection ended, or what came is not HTTP.
    case broken
    /// The certificate or the handshake.
    case tls
    /// More than `bodyBytesMax`.
    case tooLarge = "too_large"
  }

  let kind: Kind
  /// Printable, in libcurl's words or ours; without query strings.
  let reason: String
}

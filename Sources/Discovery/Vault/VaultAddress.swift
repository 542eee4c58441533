package import Redirect
import Sys

/// A Vault or OpenBao node that is asked directly: where its API is, which is where clients are sent.
package struct VaultAddress: Hashable, Sendable {
  package let target: RedirectTarget

  /// An address, and no name to look up.
  var isNumeric: Bool { target.isNumeric }

  /// Reads `https://host[:port]`; the port is the scheme's own where it is left out.
  ///
  /// - Throws: an error that names `--vault-addr`.
  package init(_ text: String, option: String = "--vault-addr") throws(DiscoveryError) {
    func invalid(_ reason: String) -> DiscoveryError {
      .invalid(option: option, reason: "\(quotedAddress(text)) \(reason)")
    }
    let scheme: RedirectTarget.Scheme
    if text.lowercased().hasPrefix("https://") {
      scheme = .https
    } else if text.lowercased().hasPrefix("http://") {
      scheme = .http
    } else {
      throw invalid("is not a URL; write https://host:port")
    }
    var rest = text.dropFirst("\(scheme.rawValue)://".count)
    if rest.hasSuffix("/") { rest.removeLast() }
    guard !rest.contains(where: { "/?#@".contains($0) }) else {
      throw invalid("has more than a host and a port; a node's API is at the root")
    }
    guard let authority = Authority(rest),
      let target = RedirectTarget(
        scheme: scheme, host: authority.host, port: authority.port ?? (scheme == .https ? 443 : 80))
    else { throw invalid("has no usable host and port") }
    self.target = target
  }
}

extension RedirectTarget {
  /// Its host is an address, and no name.
  var isNumeric: Bool { SocketAddress(numeric: host, port: port) != nil }
}

/// Where clients are sent: scheme, host and port, checked once, so that whoever renders it need not.
package struct RedirectTarget: Hashable, Sendable {
  /// `http` or `https`.
  package enum Scheme: String, Sendable {
    case http, https
  }

  package let scheme: Scheme
  /// A DNS name, an IPv4 address, or an IPv6 address without brackets.
  package let host: String
  package let port: UInt16

  /// Nil where `host` could not stand in a URL (RFC 3986 §3.2.2: letters, digits, `-`, `.`, `_`, or an IPv6
  /// address), or `port` is 0.
  package init?(scheme: Scheme, host: String, port: UInt16) {
    guard port > 0, Self.isValid(host: host) else { return nil }
    self.scheme = scheme
    self.host = host
    self.port = port
  }

  /// Letters, digits, `-`, `.`, `_` for a name or an IPv4 address; hexadecimal digits, `:` and `.` for IPv6.
  private static func isValid(host: String) -> Bool {
    let bytes = Array(host.utf8)
    guard !bytes.isEmpty, bytes.count <= 253 else { return false }
    let isIPv6 = bytes.contains(UInt8(ascii: ":"))
    return bytes.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."): true
      case UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"): true
      case UInt8(ascii: ":"): isIPv6
      case UInt8(ascii: "g")...UInt8(ascii: "z"), UInt8(ascii: "G")...UInt8(ascii: "Z"),
        UInt8(ascii: "-"), UInt8(ascii: "_"):
        !isIPv6
      default: false
      }
    }
  }

  /// `host:port`, an IPv6 address in brackets (RFC 3986 §3.2.2).
  package var authority: String {
    host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
  }

  /// `https://host:port`
  package var origin: String { "\(scheme.rawValue)://\(authority)" }
}

/// A node that is active now.
package struct ActiveNode: Hashable, Sendable {
  package let target: RedirectTarget
  /// What operators call it: Consul's node name, or the probed URL.
  package let name: String

  package init(target: RedirectTarget, name: String) {
    self.target = target
    self.name = name
  }
}

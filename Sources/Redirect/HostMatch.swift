/// Tells whether a request's `Host` names the redirect target itself (RFC 9110 §7.2): then the redirect would come back.
final class HostMatch {
  /// `host:port` in lower case; empty where nothing matches.
  private let authority = RenderedText()
  /// How much of `authority` is enough: a URL leaves out its scheme's own port.
  private var shortCount = 0

  /// Nil matches nothing.
  func adopt(_ target: RedirectTarget?) {
    authority.render(target?.authority.lowercased() ?? "")
    shortCount = authority.count
    guard let target, target.port == (target.scheme == .https ? 443 : 80) else { return }
    shortCount -= ":\(target.port)".utf8.count
  }

  @inline(__always)
  func matches(_ host: Span<UInt8>) -> Bool {
    guard host.count == authority.count || host.count == shortCount, !host.isEmpty else {
      return false
    }
    return authority.withBytes { authority in
      for index in host.indices {
        let byte = host[index]
        let isUpper = byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z")
        if authority[index] != (isUpper ? byte | 0x20 : byte) { return false }
      }
      return true
    }
  }
}

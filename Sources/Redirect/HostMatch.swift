/// Tells whether a request's `Host` names the redirect target itself (RFC 9110 §7.2): then the redirect would come back.
///
/// Not copyable, lest a copy is made for each use.
struct HostMatch: ~Copyable {
  /// `host:port` in lower case; empty where nothing matches.
  private var authority = InlineArray<264, UInt8>(repeating: 0)
  private var count = 0
  /// How much of `authority` is enough: a URL leaves out its scheme's own port.
  private var shortCount = 0

  init(_ target: RedirectTarget?) {
    guard let target else { return }
    for byte in target.authority.lowercased().utf8 {
      authority[count] = byte
      count += 1
    }
    let isDefault = target.port == (target.scheme == .https ? 443 : 80)
    shortCount = isDefault ? count - ":\(target.port)".utf8.count : count
  }

  @inline(__always)
  func matches(_ host: Span<UInt8>) -> Bool {
    guard host.count == count || host.count == shortCount, count > 0 else { return false }
    for index in 0..<host.count {
      let byte = host[index]
      let isUpper = byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z")
      if authority[index] != (isUpper ? byte | 0x20 : byte) { return false }
    }
    return true
  }
}

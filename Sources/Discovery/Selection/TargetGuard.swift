package import Redirect
package import Sys

/// Which targets tokens may be sent to.
package struct TargetGuard: Sendable {
  /// Hosts that `--allow-target` permits; nil: all.
  package var allowed: [TargetPattern]?
  /// Our own listeners, port included; an unspecified address stands for every local one.
  package var listeners: [SocketAddress]
  /// What this machine is called, in lower case, and its addresses as text: the hosts behind an unspecified listener.
  package var localHosts: Set<String>
  /// Where names are to be found, as far as they have been looked up.
  var found: [String: [SocketAddress]] = [:]

  package init(
    allowed: [TargetPattern]? = nil, listeners: [SocketAddress] = [], localHosts: Set<String> = []
  ) {
    self.allowed = allowed
    self.listeners = listeners
    self.localHosts = localHosts
  }

  /// Why clients must not be sent to `target`; nil where they may.
  package func refusal(of target: RedirectTarget) -> String? {
    if isOurs(target) { return "\(target.authority) is this redirector's own listener" }
    guard let allowed, !allowed.contains(where: { $0.matches(target.host) }) else { return nil }
    return "\(target.authority) is outside --allow-target"
  }

  /// Whether it takes a lookup to tell if a target is one of our listeners.
  func wantsAddresses(of target: RedirectTarget) -> Bool {
    !target.isNumeric && listeners.contains { $0.port == target.port }
  }

  private func isOurs(_ target: RedirectTarget) -> Bool {
    listeners.contains { listener in
      guard listener.port == target.port else { return false }
      if let address = SocketAddress(numeric: target.host, port: target.port) {
        return isAddress(address, of: listener)
      }
      // A machine's own name is often a loopback address to itself, and to nobody else.
      let known = (found[target.host] ?? []).filter { listener.isLoopback || !$0.isLoopback }
      if !known.isEmpty {
        return known.contains { found in
          var address = found
          address.port = target.port
          return isAddress(address, of: listener)
        }
      }
      let name = target.host.lowercased()
      if listener.isUnspecified { return name == "localhost" || localHosts.contains(name) }
      return listener.isLoopback ? name == "localhost" : localHosts.contains(name)
    }
  }

  private func isAddress(_ address: SocketAddress, of listener: SocketAddress) -> Bool {
    listener.isUnspecified
      ? address.isLoopback || localHosts.contains(address.host) : listener == address
  }
}

/// One `--allow-target`: a range of addresses in CIDR notation, or a host with `*` for any letters and `?` for one, both within one
/// label: `*.example.com` is no host of `a.b.example.com`, as in a certificate (RFC 6125 §6.4.3).
package struct TargetPattern: Hashable, Sendable {
  private enum Form: Hashable, Sendable {
    case block(AddressBlock)
    /// In lower case.
    case glob([UInt8])
  }

  private let form: Form

  /// - Throws: an error naming `--allow-target`.
  package init(_ text: String, option: String = "--allow-target") throws(DiscoveryError) {
    if let block = AddressBlock(text) {
      form = .block(block)
      return
    }
    let isHost = text.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"),
        UInt8(ascii: "_"), UInt8(ascii: "*"), UInt8(ascii: "?"):
        true
      default: false
      }
    }
    guard isHost, !text.isEmpty, text.utf8.count <= 253 else {
      throw .invalid(
        option: option,
        reason:
          "\"\(sanitized(text))\" is neither a host pattern like *.vault.example.com nor a CIDR "
          + "range like 10.0.0.0/8")
    }
    form = .glob(Array(text.lowercased().utf8))
  }

  /// Whether `host`, a name or an address without brackets, is meant.
  package func matches(_ host: String) -> Bool {
    switch form {
    case .block(let block):
      SocketAddress(numeric: host, port: 0).map(block.contains) ?? false
    case .glob(let pattern):
      glob(pattern, matches: Array(host.lowercased().utf8))
    }
  }
}

/// Matches in time proportional to the product of both lengths at most: no pattern can hang us.
private func glob(_ pattern: [UInt8], matches text: [UInt8]) -> Bool {
  var (p, t) = (0, 0)
  var star: (pattern: Int, text: Int)?
  while t < text.count {
    if p < pattern.count, pattern[p] == UInt8(ascii: "*") {
      star = (p, t)
      p += 1
    } else if p < pattern.count,
      pattern[p] == text[t] || (pattern[p] == UInt8(ascii: "?") && text[t] != UInt8(ascii: "."))
    {
      p += 1
      t += 1
    } else if let last = star, text[last.text] != UInt8(ascii: ".") {
      // The last star takes one byte more.
      star = (last.pattern, last.text + 1)
      (p, t) = (last.pattern + 1, last.text + 1)
    } else {
      return false
    }
  }
  return pattern[p...].allSatisfy { $0 == UInt8(ascii: "*") }
}

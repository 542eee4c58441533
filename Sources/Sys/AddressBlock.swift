/// A range of addresses in CIDR notation (RFC 4632): `10.0.0.0/8`, `2001:db8::/32`, or one address alone.
package struct AddressBlock: Hashable, Sendable, CustomStringConvertible {
  private let base: SocketAddress
  private let prefix: Int

  /// Nil for anything but an address, or an address and a prefix length of 0…32 or 0…128.
  package init?(_ text: some StringProtocol) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let first = parts.first, let base = SocketAddress(numeric: first, port: 0) else {
      return nil
    }
    let bits = base.family == .ipv4 ? 32 : 128
    self.base = base
    guard parts.count == 2 else {
      prefix = bits
      return
    }
    guard parts[1].allSatisfy({ $0.isASCII && $0.isNumber }), let prefix = Int(parts[1]),
      (0...bits).contains(prefix)
    else { return nil }
    self.prefix = prefix
  }

  /// Whether `address` lies in it; its port does not matter.
  package func contains(_ address: SocketAddress) -> Bool {
    guard address.family == base.family else { return false }
    let highMask = Self.mask(min(prefix, 64))
    let lowMask = Self.mask(max(prefix - 64, 0))
    return (address.high ^ base.high) & highMask == 0 && (address.low ^ base.low) & lowMask == 0
  }

  package var description: String { "\(base.host)/\(prefix)" }

  private static func mask(_ bits: Int) -> UInt64 {
    bits == 0 ? 0 : UInt64.max << UInt64(64 - bits)
  }
}

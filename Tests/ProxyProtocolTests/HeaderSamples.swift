import ProxyProtocol
import Sys

/// Inputs in Latin-1: each character below U+0100 is one byte.
func bytes(_ text: String) -> [UInt8] {
  text.unicodeScalars.map { UInt8($0.value) }
}

func parse(_ input: [UInt8], mode: ProxyProtocolMode = .any) -> ProxyParseResult? {
  ProxyHeaderParser(mode: mode)?.parse(input.span)
}

/// A header of version 2 whose length says how much `rest` is, unless told otherwise.
func binaryHeader(
  _ versionAndCommand: UInt8, _ family: UInt8, _ rest: [UInt8], length: Int? = nil
) -> [UInt8] {
  let length = length ?? rest.count
  return bytes("\r\n\r\n\u{0}\r\nQUIT\n") + [
    versionAndCommand, family, UInt8(length >> 8), UInt8(length & 0xFF),
  ] + rest
}

func tlv(_ type: UInt8, _ value: [UInt8]) -> [UInt8] {
  [type, UInt8(value.count >> 8), UInt8(value.count & 0xFF)] + value
}

func awsEndpoint(_ id: String) -> [UInt8] { tlv(0xEA, [1] + bytes(id)) }

let tcp4Addresses: [UInt8] = [192, 0, 2, 1, 198, 51, 100, 2, 0xC0, 0x00, 0x01, 0xBB]
let tcp6Addresses: [UInt8] =
  [0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [0x01]
  + [0xFE, 0x80] + [UInt8](repeating: 0, count: 13) + [0x02] + [0xFF, 0xFF, 0x20, 0x08]

func address(_ host: String, _ port: UInt16) -> SocketAddress? {
  SocketAddress(numeric: host, port: port)
}

/// CRC32C bit by bit, as RFC 4960 appendix B defines it: another way than the parser's table.
func referenceCRC32C(_ bytes: [UInt8]) -> UInt32 {
  var remainder = UInt32.max
  for byte in bytes {
    for bit in 0..<8 {
      let input = UInt32(byte >> bit) & 1
      let carry = (remainder & 1) ^ input
      remainder >>= 1
      if carry == 1 { remainder ^= 0x82F6_3B78 }
    }
  }
  return ~remainder
}

/// A TCP4 header with `before`, a checksum that is right but for `error`, and `after`.
func checkedHeader(
  before: [UInt8] = [], after: [UInt8] = [], error: UInt32 = 0
) -> [UInt8] {
  let blank = tcp4Addresses + before + tlv(3, [0, 0, 0, 0]) + after
  var header = binaryHeader(0x21, 0x11, blank)
  let sum = referenceCRC32C(header) ^ error
  let offset = 16 + tcp4Addresses.count + before.count + 3
  for index in 0..<4 { header[offset + index] = UInt8(truncatingIfNeeded: sum >> (24 - 8 * index)) }
  return header
}

/// A header as a Network Load Balancer sent it for a client behind a VPC endpoint, with a checksum that
/// nobody here has calculated.
let networkLoadBalancerHeader: [UInt8] = binaryHeader(
  0x21, 0x11,
  [172, 31, 7, 113, 172, 31, 10, 31, 0xC8, 0xF2, 0x00, 0x50]
    + tlv(3, [0xE8, 0xD6, 0x89, 0x2D])
    + awsEndpoint("vpce-08d2bf15fac5001c9") + tlv(4, [UInt8](repeating: 0, count: 36)))

/// Valid headers, each exactly as long as itself.
let validHeaders: [([UInt8], ProxyHeader)] = [
  (bytes("PROXY UNKNOWN\r\n"), ProxyHeader(version: .v1, command: .unknown)),
  (
    bytes("PROXY UNKNOWN \u{0}\u{ff} anything at all\r\n"),
    ProxyHeader(version: .v1, command: .unknown)
  ),
  (
    bytes("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n"),
    ProxyHeader(
      version: .v1, command: .proxy, source: address("0.0.0.0", 0),
      destination: address("255.255.255.255", 65535))
  ),
  (
    bytes("PROXY TCP6 2001:DB8::1 fe80::2 49152 443\r\n"),
    ProxyHeader(
      version: .v1, command: .proxy, source: address("2001:db8::1", 49152),
      destination: address("fe80::2", 443))
  ),
  (
    bytes("PROXY TCP6 ::ffff:192.0.2.1 1:2:3:4:5:6:7:8 1 2\r\n"),
    ProxyHeader(
      version: .v1, command: .proxy, source: address("192.0.2.1", 1),
      destination: address("1:2:3:4:5:6:7:8", 2))
  ),
  (binaryHeader(0x20, 0x00, []), ProxyHeader(version: .v2, command: .local)),
  (binaryHeader(0x20, 0x11, [1, 2, 3]), ProxyHeader(version: .v2, command: .local)),
  (binaryHeader(0x20, 0xFF, [0xFF]), ProxyHeader(version: .v2, command: .local)),
  (binaryHeader(0x21, 0x00, []), ProxyHeader(version: .v2, command: .unknown)),
  (binaryHeader(0x21, 0x10, [1, 2, 3, 4]), ProxyHeader(version: .v2, command: .unknown)),
  (binaryHeader(0x21, 0x12, tcp4Addresses), ProxyHeader(version: .v2, command: .unknown)),
  (binaryHeader(0x21, 0x22, tcp6Addresses), ProxyHeader(version: .v2, command: .unknown)),
  (
    binaryHeader(0x21, 0x31, [UInt8](repeating: 0x2F, count: 216) + tlv(4, [])),
    ProxyHeader(version: .v2, command: .unknown)
  ),
  (binaryHeader(0x21, 0x11, tcp4Addresses), tcp4()),
  (
    binaryHeader(0x21, 0x21, tcp6Addresses + tlv(2, bytes("vault.example"))),
    ProxyHeader(
      version: .v2, command: .proxy, source: address("2001:db8::1", 65535),
      destination: address("fe80::2", 8200))
  ),
  (checkedHeader(), tcp4()),
  (
    networkLoadBalancerHeader,
    ProxyHeader(
      version: .v2, command: .proxy, source: address("172.31.7.113", 51442),
      destination: address("172.31.10.31", 80), vpcEndpointID: "vpce-08d2bf15fac5001c9")
  ),
  (
    checkedHeader(before: tlv(4, []), after: awsEndpoint("vpce-08d2bf15Fac5001c9")),
    tcp4(vpcEndpointID: "vpce-08d2bf15Fac5001c9")
  ),
  (
    binaryHeader(0x21, 0x11, tcp4Addresses + tlv(0xEA, []) + tlv(0xEA, [2, 0xFF])), tcp4()
  ),
]

func tcp4(vpcEndpointID: String? = nil) -> ProxyHeader {
  ProxyHeader(
    version: .v2, command: .proxy, source: address("192.0.2.1", 49152),
    destination: address("198.51.100.2", 443), vpcEndpointID: vpcEndpointID)
}

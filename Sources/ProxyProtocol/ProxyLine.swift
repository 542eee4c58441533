import Sys

/// The shortest line of version 1, `PROXY UNKNOWN` with CRLF.
let lineBytesMin = 15
/// The longest line of version 1, with its CRLF (§2.1).
let lineBytesMax = 107

extension ProxyHeaderParser {
  /// Reads a header of version 1 (§2.1): `PROXY TCP4|TCP6 source destination port port` or
  /// `PROXY UNKNOWN …`, and CRLF. `bytes` begins with `PROXY`.
  func parseLine(_ bytes: Span<UInt8>) throws(ProxyHeaderError) -> ProxyParseResult {
    let start = 5
    for (literal, family) in protocols {
      let length = literal.utf8CodeUnitCount
      let common = bytes.commonPrefix(with: literal, from: start)
      if common == length {
        return try parseLine(bytes, from: start + length, family: family)
      }
      if start + common == bytes.count { return incompleteLine(bytes) }
    }
    throw .malformedLine
  }

  /// What may follow `PROXY`, and the family of the addresses behind it.
  private var protocols: [(StaticString, SocketAddress.Family?)] {
    [(" TCP4 ", .ipv4), (" TCP6 ", .ipv6), (" UNKNOWN", nil)]
  }

  private func incompleteLine(_ bytes: Span<UInt8>) -> ProxyParseResult {
    .incomplete(needs: max(bytes.count + 1, lineBytesMin))
  }

  private func parseLine(
    _ bytes: Span<UInt8>, from start: Int, family: SocketAddress.Family?
  ) throws(ProxyHeaderError) -> ProxyParseResult {
    guard let end = try endOfLine(bytes, from: start, isTCP: family != nil) else {
      return incompleteLine(bytes)
    }
    var header = ProxyHeader(version: .v1, command: .unknown)
    if let family {
      // The addresses are not looked at before the line is whole: the end of one may be missing
      // (§2.1).
      let (source, destination) = try endpoints(bytes, start..<end, family)
      header.command = .proxy
      header.source = source
      header.destination = destination
    }
    return .complete(header, consumed: end + 2)
  }

  /// The offset of the line's CRLF; nil where the line goes on. What cannot stand in a line is
  /// refused when it is seen.
  private func endOfLine(
    _ bytes: Span<UInt8>, from start: Int, isTCP: Bool
  ) throws(ProxyHeaderError) -> Int? {
    var isAfterReturn = false
    for index in start..<max(start, min(bytes.count, lineBytesMax)) {
      let byte = bytes[index]
      if isAfterReturn {
        guard byte == 0x0A else { throw .malformedLine }
        return index - 1
      }
      switch byte {
      case 0x0D: isAfterReturn = true
      case 0x0A: throw .malformedLine
      default:
        // Behind UNKNOWN anything may follow, but not without a space between (§2.1).
        let isAllowed = isTCP ? isEndpointByte(byte) : index > start || byte == 0x20
        guard isAllowed else { throw .malformedLine }
      }
    }
    guard bytes.count < lineBytesMax else { throw .tooLong }
    return nil
  }

  /// Takes apart `source destination sourcePort destinationPort`, with single spaces between.
  private func endpoints(
    _ bytes: Span<UInt8>, _ range: Range<Int>, _ family: SocketAddress.Family
  ) throws(ProxyHeaderError) -> (source: SocketAddress, destination: SocketAddress) {
    var rest = range
    let source = try nextPart(bytes, &rest)
    let destination = try nextPart(bytes, &rest)
    let sourcePort = try nextPart(bytes, &rest)
    return (
      try address(bytes, source, family, port: port(bytes, sourcePort)),
      try address(bytes, destination, family, port: port(bytes, rest))
    )
  }

  /// Takes the bytes up to the next space, and the space.
  private func nextPart(
    _ bytes: Span<UInt8>, _ rest: inout Range<Int>
  ) throws(ProxyHeaderError) -> Range<Int> {
    var end = rest.lowerBound
    while end < rest.upperBound, bytes[end] != 0x20 { end += 1 }
    guard end > rest.lowerBound, end < rest.upperBound else { throw .malformedLine }
    defer { rest = (end + 1)..<rest.upperBound }
    return rest.lowerBound..<end
  }

  /// inet_pton, which reads it in the end, takes neither leading zeros in IPv4 nor groups above
  /// four digits.
  private func address(
    _ bytes: Span<UInt8>, _ range: Range<Int>, _ family: SocketAddress.Family, port: UInt16
  ) throws(ProxyHeaderError) -> SocketAddress {
    let hasColon = range.contains { bytes[$0] == UInt8(ascii: ":") }
    guard hasColon == (family == .ipv6),
      let address = SocketAddress(numeric: bytes.text(range), port: port)
    else { throw .invalidAddress }
    return address
  }

  /// A number up to 65535 without leading zeros.
  private func port(
    _ bytes: Span<UInt8>, _ range: Range<Int>
  ) throws(ProxyHeaderError) -> UInt16 {
    guard (1...5).contains(range.count),
      range.count == 1 || bytes[range.lowerBound] != UInt8(ascii: "0")
    else { throw .invalidPort }
    var number = 0
    for index in range {
      let digit = bytes[index] &- UInt8(ascii: "0")
      guard digit < 10 else { throw .invalidPort }
      number = number * 10 + Int(digit)
    }
    guard let port = UInt16(exactly: number) else { throw .invalidPort }
    return port
  }

  /// A hexadecimal digit, `.`, `:` or the space between.
  private func isEndpointByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: ":"), UInt8(ascii: "."), UInt8(ascii: " "),
      UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"):
      true
    default: false
    }
  }
}

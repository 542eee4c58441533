import Sys

/// The part of version 2 that is always there: signature, version and command, family, length.
let fixedBytes = 16

extension ProxyHeaderParser {
  /// Reads a header of version 2 (§2.2). `bytes` begins with the signature.
  ///
  /// ```
  ///  0          12        13      14       16          +12|36|216
  /// ┌───────────┬─────────┬───────┬────────┬───────────┬──────┐
  /// │ signature │ ver cmd │ family│ length │ addresses │ TLVs │  the last two are `length` bytes
  /// └───────────┴─────────┴───────┴────────┴───────────┴──────┘
  /// ```
  func parseBinaryHeader(_ bytes: Span<UInt8>) throws(ProxyHeaderError) -> ProxyParseResult {
    // Each byte is refused when it is seen.
    guard bytes.count > 12 else { return .incomplete(needs: fixedBytes) }
    guard bytes[12] == 0x20 || bytes[12] == 0x21 else { throw .unknownCommand }
    let isLocal = bytes[12] == 0x20
    guard bytes.count > 13 else { return .incomplete(needs: fixedBytes) }
    let layout = AddressLayout(bytes[13])
    // The family of LOCAL is to be ignored.
    guard isLocal || layout != nil else { throw .unknownFamily }
    guard bytes.count >= fixedBytes else { return .incomplete(needs: fixedBytes) }
    let end = fixedBytes + Int(bytes.bigEndian16(at: 14))
    guard end <= Self.headerBytesMax else { throw .tooLong }

    guard !isLocal, let layout else {
      return whole(bytes, end, ProxyHeader(version: .v2, command: .local))
    }
    guard end - fixedBytes >= layout.bytes else { throw .shortAddresses }
    guard layout != .unspecified, bytes.count >= end else {
      return whole(bytes, end, ProxyHeader(version: .v2, command: .unknown))
    }
    var header = addresses(bytes, layout)
    header.vpcEndpointID = try readTLVs(
      bytes.extracting(first: end), from: fixedBytes + layout.bytes)
    return .complete(header, consumed: end)
  }

  /// `header`, when all its bytes are there.
  private func whole(_ bytes: Span<UInt8>, _ end: Int, _ header: ProxyHeader) -> ProxyParseResult {
    bytes.count >= end ? .complete(header, consumed: end) : .incomplete(needs: end)
  }

  private func addresses(_ bytes: Span<UInt8>, _ layout: AddressLayout) -> ProxyHeader {
    var header = ProxyHeader(version: .v2, command: .proxy)
    switch layout {
    case .tcp4:
      header.source = SocketAddress(
        ipv4: UInt32(bytes.bigEndian(16..<20)), port: bytes.bigEndian16(at: 24))
      header.destination = SocketAddress(
        ipv4: UInt32(bytes.bigEndian(20..<24)), port: bytes.bigEndian16(at: 26))
    case .tcp6:
      header.source = SocketAddress(
        ipv6High: bytes.bigEndian(16..<24), low: bytes.bigEndian(24..<32),
        port: bytes.bigEndian16(at: 48))
      header.destination = SocketAddress(
        ipv6High: bytes.bigEndian(32..<40), low: bytes.bigEndian(40..<48),
        port: bytes.bigEndian16(at: 50))
    case .otherIPv4, .otherIPv6, .unix, .unspecified:
      header.command = .unknown
    }
    return header
  }
}

/// What byte 13 says about the addresses. Combinations that are valid but not TCP are read like
/// UNSPEC, as §2.2 asks of receivers that do not know them: nobody's address, but a valid header.
private enum AddressLayout {
  case tcp4, tcp6, otherIPv4, otherIPv6, unix, unspecified

  /// Nil for families and protocols that are not assigned, and must be refused.
  init?(_ byte: UInt8) {
    switch byte {
    case 0x11: self = .tcp4
    case 0x21: self = .tcp6
    case 0x12: self = .otherIPv4
    case 0x22: self = .otherIPv6
    case 0x31, 0x32: self = .unix
    case 0x00, 0x01, 0x02, 0x10, 0x20, 0x30: self = .unspecified
    default: return nil
    }
  }

  /// What the addresses take; of UNSPEC, how much of the rest are addresses is not known, and
  /// nothing is read.
  var bytes: Int {
    switch self {
    case .tcp4, .otherIPv4: 12
    case .tcp6, .otherIPv6: 36
    case .unix: 216
    case .unspecified: 0
    }
  }
}

extension Span<UInt8> {
  /// The number in the bytes of `range`, 8 at most, the first in the highest place.
  func bigEndian(_ range: Range<Int>) -> UInt64 {
    range.reduce(0) { $0 << 8 | UInt64(self[$1]) }
  }

  func bigEndian16(at offset: Int) -> UInt16 {
    UInt16(self[offset]) << 8 | UInt16(self[offset + 1])
  }
}

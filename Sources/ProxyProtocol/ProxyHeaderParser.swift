/// What became of a connection's first bytes.
package enum ProxyParseResult: Equatable, Sendable {
  /// All is well so far. No header ends before `needs` bytes in all, so waiting for them waits for
  /// nothing behind it; `needs` is more than there were.
  case incomplete(needs: Int)
  /// The header is the first `consumed` bytes. Not one byte behind them has been looked at.
  case complete(ProxyHeader, consumed: Int)
  case failed(ProxyHeaderError)
}

/// Reads the PROXY header at the start of a connection. It does no I/O; whoever peeks at a socket
/// asks it again with all bytes from the first on.
package struct ProxyHeaderParser: Sendable {
  /// A header of version 2 above this is refused, though the format allows 65,551 bytes: room for a
  /// client's certificate, and no more.
  package static let headerBytesMax = 4096

  private let acceptsV1: Bool
  private let acceptsV2: Bool

  /// Nil where `mode` is `off`: there is nothing to parse then.
  package init?(mode: ProxyProtocolMode) {
    guard mode != .off else { return nil }
    acceptsV1 = mode != .v2
    acceptsV2 = mode != .v1
  }

  /// - Parameter bytes: the connection's bytes from the first on. Small change when little is new:
  ///   at most 107 bytes of version 1 are read again, or 16 of version 2.
  package func parse(_ bytes: Span<UInt8>) -> ProxyParseResult {
    do throws(ProxyHeaderError) {
      guard let version = try version(of: bytes) else {
        return .incomplete(needs: max(bytes.count + 1, bytesMin))
      }
      switch version {
      case .v1:
        guard acceptsV1 else { throw .wrongVersion }
        return try parseLine(bytes)
      case .v2:
        guard acceptsV2 else { throw .wrongVersion }
        return try parseBinaryHeader(bytes)
      }
    } catch {
      return .failed(error)
    }
  }

  /// The shortest header there is: `PROXY UNKNOWN` with CRLF, or version 2 without addresses.
  private var bytesMin: Int { acceptsV1 ? lineBytesMin : fixedBytes }

  /// The version, by the bytes that tell it (§2.2); nil while they are too few.
  private func version(of bytes: Span<UInt8>) throws(ProxyHeaderError) -> ProxyHeader.Version? {
    if bytes.commonPrefix(with: "PROXY") == min(bytes.count, 5) {
      return bytes.count >= 5 ? .v1 : nil
    }
    for index in 0..<min(bytes.count, signature.count) where bytes[index] != signature[index] {
      throw stranger(bytes)
    }
    return bytes.count >= signature.count ? .v2 : nil
  }

  /// What the bytes are if they are no PROXY header, in a word that helps to find the misconfigured
  /// side.
  private func stranger(_ bytes: Span<UInt8>) -> ProxyHeaderError {
    switch bytes[0] {
    case 0x16: .looksLikeTLS
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): .looksLikeHTTP
    default: .notProxyHeader
    }
  }
}

/// What version 2 begins with (§2.2); `\r\n\r\n\0\r\nQUIT\n`.
private let signature: InlineArray<12, UInt8> = [
  0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A,
]

extension Span<UInt8> {
  /// How many of the first bytes are those of `literal`.
  func commonPrefix(with literal: StaticString, from start: Int = 0) -> Int {
    var length = 0
    while start + length < count, length < literal.utf8CodeUnitCount {
      // A StaticString of several bytes points at constant memory of the length just compared.
      let expected = unsafe literal.utf8Start[length]
      guard self[start + length] == expected else { break }
      length += 1
    }
    return length
  }

  /// The bytes of `range`, which are ASCII, as a string.
  func text(_ range: Range<Int>) -> String {
    String(decoding: range.map { self[$0] }, as: UTF8.self)
  }
}

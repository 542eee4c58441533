/// The TLVs that are read (§2.2); all others are skipped.
private enum TLVType {
  static let crc32c: UInt8 = 0x03
  static let aws: UInt8 = 0xEA
  /// The subtype of `aws` that is the id of a VPC endpoint.
  static let awsEndpointID: UInt8 = 0x01
}

extension ProxyHeaderParser {
  /// Walks the TLVs from `start` to the end of `header`, which is a whole header of version 2: each
  /// is a type, a length in two bytes, and so many bytes.
  ///
  /// - Returns: the id of the VPC endpoint, where there is one.
  func readTLVs(_ header: Span<UInt8>, from start: Int) throws(ProxyHeaderError) -> String? {
    var hasChecksum = false
    var endpointID: String?
    var offset = start
    while offset < header.count {
      guard header.count - offset >= 3 else { throw .malformedTLV }
      let type = header[offset]
      let valueStart = offset + 3
      offset = valueStart + Int(header.bigEndian16(at: offset + 1))
      guard offset <= header.count else { throw .malformedTLV }
      let value = valueStart..<offset
      switch type {
      case TLVType.crc32c:
        // A second one could not be right: each would have to be 0 in the other's sum.
        guard value.count == 4, !hasChecksum else { throw .malformedTLV }
        guard header.bigEndian(value) == UInt64(crc32c(header, zeroing: value)) else {
          throw .wrongChecksum
        }
        hasChecksum = true
      case TLVType.aws where !value.isEmpty && header[valueStart] == TLVType.awsEndpointID:
        guard endpointID == nil else { throw .malformedTLV }
        endpointID = try readEndpointID(header, value.dropFirst())
      default:
        break
      }
    }
    return endpointID
  }

  /// Letters, digits and `-`: it goes into the log, and what else it may be AWS does not say.
  private func readEndpointID(
    _ header: Span<UInt8>, _ range: Range<Int>
  ) throws(ProxyHeaderError) -> String {
    guard (1...255).contains(range.count) else { throw .invalidEndpointID }
    for index in range {
      switch header[index] {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
        continue
      default:
        throw .invalidEndpointID
      }
    }
    return header.text(range)
  }
}

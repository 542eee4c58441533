/// How the end of a request's body is found (RFC 9112 §6.3).
package enum BodyFraming: Equatable, Sendable {
  /// There is no body.
  case none
  /// So many bytes follow the head; at least 1.
  case length(UInt64)
  /// The body comes in chunks (RFC 9112 §7.1).
  case chunked
}

/// What the fields of one head say about its body. Anything two readers could read in two ways is
/// refused: that is what request smuggling is made of (RFC 9112 §11.2).
struct FramingFields {
  private var contentLength: UInt64?
  private var hasTransferEncoding = false
  private var isChunked = false

  /// Takes the value of a Content-Length field: digits and nothing else, at most once (RFC 9112
  /// §6.3 rule 5).
  mutating func addContentLength(_ bytes: Span<UInt8>, _ value: Range<Int>) throws(RequestError) {
    guard contentLength == nil else { throw .duplicateContentLength }
    guard !hasTransferEncoding else { throw .contentLengthAndTransferEncoding }
    guard !value.isEmpty else { throw .invalidContentLength }
    var length: UInt64 = 0
    for index in value {
      let byte = bytes[index]
      guard byte.isDigit else { throw .invalidContentLength }
      let (tens, overflow) = length.multipliedReportingOverflow(by: 10)
      let (sum, carry) = tens.addingReportingOverflow(UInt64(byte &- UInt8(ascii: "0")))
      guard !overflow, !carry else { throw .invalidContentLength }
      length = sum
    }
    contentLength = length
  }

  /// Takes the value of a Transfer-Encoding field: `chunked`, once in all such fields (RFC 9112
  /// §6.1).
  mutating func addTransferEncoding(
    _ bytes: Span<UInt8>, _ value: Range<Int>
  ) throws(RequestError) {
    guard contentLength == nil else { throw .contentLengthAndTransferEncoding }
    hasTransferEncoding = true
    var rest: Range<Int>? = value
    while let coding = bytes.nextListElement(&rest) {
      // Nothing may follow `chunked`, itself least of all; it has no parameters.
      guard !coding.isEmpty, !isChunked else { throw .invalidTransferEncoding }
      if bytes.matchesIgnoringCase(coding, "chunked") {
        isChunked = true
        continue
      }
      let nameEnd = min(bytes.endOfToken(from: coding.lowerBound), coding.upperBound)
      let name = coding.lowerBound..<nameEnd
      let isName = nameEnd == coding.upperBound || bytes[nameEnd] == UInt8(ascii: ";")
      guard !name.isEmpty, isName, !bytes.matchesIgnoringCase(name, "chunked") else {
        throw .invalidTransferEncoding
      }
      throw .unknownTransferCoding
    }
  }

  /// What it all comes to, once every field is known.
  func framing(version: HTTPVersion) throws(RequestError) -> BodyFraming {
    if hasTransferEncoding {
      // A client of HTTP/1.0 does not know chunks: somebody in between changed the request (RFC
      // 9112 §6.1).
      guard version == .http11 else { throw .invalidTransferEncoding }
      return .chunked
    }
    guard let contentLength, contentLength > 0 else { return .none }
    return .length(contentLength)
  }
}

/// The parts of an answer. All of them trap where the buffer is full: it is the caller's to have
/// room.
extension OutputSpan<UInt8> {
  /// Appends `HTTP/1.1 <status> <reason>` and CRLF. Answers to HTTP/1.0 say 1.1 as well (RFC 9112
  /// §2.3).
  package mutating func appendStatusLine(_ status: Int) {
    append("HTTP/1.1 ")
    append(decimal: status)
    append(" ")
    append(reasonPhrase(for: status))
    append("\r\n")
  }

  /// Appends a field line, with `value` as it is: no CR or LF may be in it.
  package mutating func appendField(_ name: StaticString, _ value: Span<UInt8>) {
    append(name)
    append(": ")
    append(contentsOf: value)
    append("\r\n")
  }

  /// Appends a field line with a number.
  package mutating func appendField(_ name: StaticString, decimal value: Int) {
    append(name)
    append(": ")
    append(decimal: value)
    append("\r\n")
  }

  /// Appends `Date` and `Server`, which every answer has (RFC 9110 §6.6.1, §10.2.4).
  package mutating func appendOriginFields(date: HTTPDate, server: Span<UInt8>) {
    append("Date: ")
    append(date)
    append("\r\n")
    appendField("Server", server)
  }

  /// Appends the Connection field where one is needed: `close`, or `keep-alive` to a client of
  /// HTTP/1.0, which would not expect it (RFC 9112 §9.3).
  package mutating func appendConnectionField(keepsAlive: Bool, version: HTTPVersion) {
    if !keepsAlive {
      append("Connection: close\r\n")
    } else if version == .http10 {
      append("Connection: keep-alive\r\n")
    }
  }

  /// Appends a number, not below 0, in decimal digits.
  package mutating func append(decimal value: Int) {
    assert(value >= 0, "an answer has no negative numbers")
    var digits = InlineArray<20, UInt8>(repeating: 0)
    var start = 20
    var rest = max(value, 0)
    repeat {
      let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
      start -= 1
      digits[start] = UInt8(ascii: "0") + UInt8(digit)
      rest = quotient
    } while rest > 0
    append(contentsOf: digits.span.extracting(start..<20))
  }
}

/// An answer that says what went wrong, in the shape in which Vault says it: `{"errors":["…"]}`.
package struct ErrorResponse: Sendable {
  package var status: Int
  /// Printable ASCII without `"` and `\`: it goes into the JSON as it stands.
  package var message: StaticString
  /// What a 405 must name (RFC 9110 §15.5.6): the methods that there are.
  package var allowedMethods: StaticString =
    "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, LIST, SCAN"
  /// The connection stays open; false says so in `Connection: close`.
  package var keepsAlive = false
  /// What the client speaks.
  package var version = HTTPVersion.http11
  /// The request was HEAD: the fields speak of a body that does not follow (RFC 9110 §9.3.2).
  package var isHead = false

  package init(status: Int, message: StaticString) {
    self.status = status
    self.message = message
  }

  /// The answer to a request that could not be parsed, which closes.
  ///
  /// - Parameter method: `RequestParser.method`.
  package init(_ error: RequestError, method: Method?) {
    self.init(status: error.status, message: error.message)
    isHead = method == .head
  }

  /// What an answer takes at most beside its message, the server's name and extra fields, in bytes.
  package static let frameBytesMax = 384
}

extension OutputSpan<UInt8> {
  /// Appends the whole answer.
  ///
  /// - Parameters:
  ///   - server: the value of `Server`.
  ///   - extraFields: more field lines, each with its CRLF.
  package mutating func append(
    _ response: ErrorResponse, date: HTTPDate, server: Span<UInt8>,
    extraFields: Span<UInt8> = Span()
  ) {
    let before: StaticString = "{\"errors\":[\""
    let after: StaticString = "\"]}\n"
    appendStatusLine(response.status)
    appendOriginFields(date: date, server: server)
    append("Cache-Control: no-store\r\nContent-Type: application/json\r\n")
    appendField(
      "Content-Length",
      decimal: before.utf8CodeUnitCount + response.message.utf8CodeUnitCount
        + after.utf8CodeUnitCount)
    if response.status == 405 {
      append("Allow: ")
      append(response.allowedMethods)
      append("\r\n")
    }
    if response.status == 503 { append("Retry-After: 1\r\n") }
    appendConnectionField(keepsAlive: response.keepsAlive, version: response.version)
    append(contentsOf: extraFields)
    append("\r\n")
    guard !response.isHead else { return }
    append(before)
    append(response.message)
    append(after)
  }
}

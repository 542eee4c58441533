/// What became of the bytes read so far.
package enum ParseResult: Equatable, Sendable {
  /// All is well and the head goes on: ask again with the same bytes and more.
  case incomplete
  /// The head is whole and valid. What follows `headBytes` is its body, or the next head.
  case complete(RequestHead)
  /// No bytes to come can mend it. Answer and close.
  case failed(RequestError)
}

/// Parses the head of one request after the other (RFC 9112 §2 to §6), stricter wherever the RFC
/// lets it be.
///
/// A parser keeps its place, so each byte is looked at a bounded number of times however the head
/// is cut up on its way, and the result does not depend on how. It does no I/O and allocates
/// nothing.
package struct RequestParser: Sendable {
  private let limits: MessageLimits
  private var position = 0
  private var requestLine = RequestLine()
  private var fields: FieldSection
  private var result = ParseResult.incomplete

  package init(limits: MessageLimits = MessageLimits()) {
    self.limits = limits
    fields = FieldSection(fieldsMax: limits.fieldsMax)
  }

  /// The method of the request now being parsed, as soon as its token has been read, and after an
  /// error too: an answer to HEAD has no body.
  package var method: Method? { requestLine.method }

  /// Looks at the bytes that are new since the last call.
  ///
  /// - Parameter bytes: everything received from the head's first byte on: what the last call was
  ///   given, and more.
  /// - Returns: a result other than `incomplete` stays until `reset`.
  package mutating func parse(_ bytes: Span<UInt8>) -> ParseResult {
    guard case .incomplete = result else { return result }
    do {
      guard let head = try readHead(bytes) else { return .incomplete }
      result = .complete(head)
    } catch {
      result = .failed(error)
    }
    return result
  }

  /// Gets ready for the next request, whose head begins at offset 0 again.
  package mutating func reset() {
    position = 0
    requestLine = RequestLine()
    fields = FieldSection(fieldsMax: limits.fieldsMax)
    result = .incomplete
  }

  /// Each half sees no byte beyond its limit: whoever has read up to there and is not done is over
  /// it.
  private mutating func readHead(_ bytes: Span<UInt8>) throws(RequestError) -> RequestHead? {
    if !requestLine.isDone {
      let limit = min(limits.requestLineBytesMax, limits.headBytesMax)
      try requestLine.read(bytes.extracting(first: limit), &position)
      guard requestLine.isDone else {
        guard position < limit else { throw .requestLineTooLong }
        return nil
      }
    }
    try fields.read(bytes.extracting(first: limits.headBytesMax), &position)
    guard fields.isDone else {
      guard position < limits.headBytesMax else { throw .headTooLong }
      return nil
    }
    return try head()
  }

  /// The rules that need all fields.
  private func head() throws(RequestError) -> RequestHead {
    let version = requestLine.version
    guard fields.host != nil || version == .http10 else { throw .missingHost }
    let framing = try fields.framing.framing(version: version)
    return RequestHead(
      method: requestLine.method ?? .other,
      methodRange: requestLine.methodRange,
      target: requestLine.target,
      version: version,
      keepsAlive: !fields.asksClose && (version == .http11 || fields.asksKeepAlive),
      framing: framing,
      // HTTP/1.0 has no expectations, and without a body there is nothing to wait with (RFC 9110
      // §10.1.1).
      expectsContinue: fields.expectsContinue && version == .http11 && framing != .none,
      host: fields.host,
      headBytes: position)
  }
}

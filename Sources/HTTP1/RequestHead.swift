/// The minor version of HTTP/1 that a request speaks (RFC 9112 §2.3); a minor above 1 counts as
/// 1.1.
package enum HTTPVersion: UInt8, Sendable {
  case http10
  case http11
}

/// A request's head, parsed and valid: offsets into the bytes it was parsed from, and nothing
/// allocated.
package struct RequestHead: Equatable, Sendable {
  package var method: Method
  /// Offsets of the method's token.
  package var methodRange: Range<Int>
  package var target: RequestTarget
  package var version: HTTPVersion
  /// What the client asked for: whether the connection stays open after the answer (RFC 9112 §9.3).
  package var keepsAlive: Bool
  package var framing: BodyFraming
  /// The client sent `Expect: 100-continue` and waits for an answer before its body (RFC 9110
  /// §10.1.1).
  package var expectsContinue: Bool
  /// Offsets of the value of `Host`, or nil where an HTTP/1.0 request has none.
  package var host: Range<Int>?
  /// The bytes from the request line to the empty line, with both: where the body, or the next
  /// head, begins.
  package var headBytes: Int

  package init(
    method: Method, methodRange: Range<Int>, target: RequestTarget, version: HTTPVersion,
    keepsAlive: Bool, framing: BodyFraming, expectsContinue: Bool, host: Range<Int>?, headBytes: Int
  ) {
    self.method = method
    self.methodRange = methodRange
    self.target = target
    self.version = version
    self.keepsAlive = keepsAlive
    self.framing = framing
    self.expectsContinue = expectsContinue
    self.host = host
    self.headBytes = headBytes
  }
}

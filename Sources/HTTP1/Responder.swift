/// What the frontend tells a responder beside the request itself.
package struct ResponseContext: Sendable {
  /// The connection stays open after this answer; false obliges the answer to say `Connection: close`.
  package var keepsAlive: Bool
  /// The time of the answer, for `Date`.
  package var date: HTTPDate
  /// The responder may answer `.hold`, and is asked again when something changes or the hold is over.
  package var mayHold: Bool

  package init(keepsAlive: Bool, date: HTTPDate, mayHold: Bool) {
    self.keepsAlive = keepsAlive
    self.date = date
    self.mayHold = mayHold
  }
}

/// What a responder did with a request.
package enum ResponderOutcome: Equatable, Sendable {
  /// A whole answer with this status was appended.
  case answered(status: Int)
  /// Nothing was appended: the answer is not known yet.
  case hold
}

/// Turns a request into an answer. A pure policy: no I/O, no waiting.
///
/// Each worker owns one instance and calls it on its own thread alone, so a responder may keep
/// rendered bytes in its own properties.
package protocol Responder: AnyObject {
  /// Answers one request.
  ///
  /// - Parameters:
  ///   - head: the parsed request.
  ///   - bytes: what `head` was parsed from; its offsets point in here.
  ///   - output: has room for `responseBytesMax` and the request's target.
  func respond(
    to head: RequestHead, bytes: Span<UInt8>, context: ResponseContext,
    into output: inout OutputSpan<UInt8>
  ) -> ResponderOutcome

  /// The host that the last answer's `Location` names, for the access log; empty where it had none.
  var lastLocationHost: String { get }

  /// What an answer may need beyond the request's own target, in bytes.
  var responseBytesMax: Int { get }
}

extension Responder {
  package var responseBytesMax: Int { 8192 }
}

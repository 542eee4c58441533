/// The request methods that are told apart in counts and answers (RFC 9110 §9, and Vault's own LIST and SCAN).
/// Every other token is `other`: it is redirected like the rest.
package enum Method: UInt8, Sendable, CaseIterable {
  case get, head, post, put, patch, delete, options, list, scan, trace, connect, other

  /// The token as it stands on the wire; `other` for the rest.
  package var token: String {
    switch self {
    case .get: "GET"
    case .head: "HEAD"
    case .post: "POST"
    case .put: "PUT"
    case .patch: "PATCH"
    case .delete: "DELETE"
    case .options: "OPTIONS"
    case .list: "LIST"
    case .scan: "SCAN"
    case .trace: "TRACE"
    case .connect: "CONNECT"
    case .other: "other"
    }
  }
}

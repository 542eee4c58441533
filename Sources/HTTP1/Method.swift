/// The request methods that are told apart in counts and answers (RFC 9110 §9, and Vault's own LIST
/// and SCAN). Every other token is `other`: it is redirected like the rest.
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

extension Method {
  /// The method whose token lies at `range`. Tokens are case-sensitive (RFC 9110 §9.1): `get` is
  /// `other`.
  init(_ bytes: Span<UInt8>, _ range: Range<Int>) {
    func choose(_ method: Method, _ literal: StaticString) -> Method {
      bytes.matches(range, literal) ? method : .other
    }
    self =
      switch bytes[range.lowerBound] {
      case UInt8(ascii: "G"): choose(.get, "GET")
      case UInt8(ascii: "H"): choose(.head, "HEAD")
      case UInt8(ascii: "P") where range.count == 3: choose(.put, "PUT")
      case UInt8(ascii: "P") where range.count == 4: choose(.post, "POST")
      case UInt8(ascii: "P"): choose(.patch, "PATCH")
      case UInt8(ascii: "D"): choose(.delete, "DELETE")
      case UInt8(ascii: "L"): choose(.list, "LIST")
      case UInt8(ascii: "S"): choose(.scan, "SCAN")
      case UInt8(ascii: "O"): choose(.options, "OPTIONS")
      case UInt8(ascii: "C"): choose(.connect, "CONNECT")
      case UInt8(ascii: "T"): choose(.trace, "TRACE")
      default: .other
      }
  }
}

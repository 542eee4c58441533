/// Why a request is refused before anyone asks what it wants. The framing of what follows is not to
/// be trusted any more, so each of these answers closes the connection.
///
/// The raw value is the stable label that counters carry.
package enum RequestError: String, Error, Sendable, CaseIterable {
  // The request line (RFC 9112 §3)
  case malformedMethod = "malformed_method"
  case methodNotAllowed = "method_not_allowed"
  case malformedTarget = "malformed_target"
  case asteriskTarget = "asterisk_target"
  case targetAuthority = "target_authority"
  case targetFragment = "target_fragment"
  case targetByte = "target_byte"
  case malformedVersion = "malformed_version"
  case unsupportedVersion = "unsupported_version"
  case requestLineTooLong = "request_line_too_long"

  // Lines and bytes (RFC 9112 §2.2, §5)
  case bareLineFeed = "bare_lf"
  case bareCarriageReturn = "bare_cr"
  case controlByte = "control_byte"
  case lineFolding = "obs_fold"
  case whitespaceBeforeColon = "whitespace_before_colon"
  case malformedFieldName = "malformed_field_name"
  case tooManyFields = "too_many_fields"
  case headTooLong = "head_too_long"

  // Fields with a meaning here (RFC 9112 §3.2, §6; RFC 9110 §10.1.1)
  case missingHost = "missing_host"
  case duplicateHost = "duplicate_host"
  case invalidHost = "invalid_host"
  case invalidContentLength = "invalid_content_length"
  case duplicateContentLength = "duplicate_content_length"
  case contentLengthAndTransferEncoding = "content_length_and_transfer_encoding"
  case invalidTransferEncoding = "invalid_transfer_encoding"
  case unknownTransferCoding = "unknown_transfer_coding"
  case unknownExpectation = "unknown_expectation"

  // The chunked body (RFC 9112 §7.1)
  case invalidChunkSize = "invalid_chunk_size"
  case invalidChunkExtension = "invalid_chunk_extension"
  case chunkSizeLineTooLong = "chunk_size_line_too_long"
  case invalidChunkEnd = "invalid_chunk_end"
  case trailerTooLong = "trailer_too_long"

  /// The stable name of this case in counters, in snake_case.
  package var label: String { rawValue }

  /// The status code of the answer (RFC 9110 §15).
  package var status: Int {
    switch self {
    case .methodNotAllowed: 405
    case .requestLineTooLong: 414
    case .unknownExpectation: 417
    case .tooManyFields, .headTooLong: 431
    case .unknownTransferCoding: 501
    case .unsupportedVersion: 505
    default: 400
    }
  }

  /// What the client is told: plain ASCII without quotes, fit for a JSON string as it stands.
  package var message: StaticString {
    switch self {
    case .malformedMethod: "the request line does not begin with a method and one space"
    case .methodNotAllowed: "CONNECT and TRACE are not allowed here"
    case .malformedTarget: "the request target is neither a path nor an http or https URL"
    case .asteriskTarget: "OPTIONS * has no target to redirect to"
    case .targetAuthority: "the host in the request target is not valid"
    case .targetFragment: "the request target has a fragment"
    case .targetByte: "the request target has a byte that must be percent-encoded"
    case .malformedVersion: "the request line does not end in an HTTP version"
    case .unsupportedVersion: "only HTTP/1.1 and HTTP/1.0 are spoken here"
    case .requestLineTooLong: "the request line is too long"
    case .bareLineFeed: "a line ends in LF without CR"
    case .bareCarriageReturn: "a CR is not followed by LF"
    case .controlByte: "the request has a control byte"
    case .lineFolding: "a field line begins with white space"
    case .whitespaceBeforeColon: "a field name is followed by white space"
    case .malformedFieldName: "a field name is not a token followed by a colon"
    case .tooManyFields: "the request has too many fields"
    case .headTooLong: "the request head is too long"
    case .missingHost: "an HTTP/1.1 request needs a Host field"
    case .duplicateHost: "the request has more than one Host field"
    case .invalidHost: "the Host field is not a valid host and port"
    case .invalidContentLength: "the Content-Length field is not a number"
    case .duplicateContentLength: "the request has more than one Content-Length field"
    case .contentLengthAndTransferEncoding:
      "the request has both Content-Length and Transfer-Encoding"
    case .invalidTransferEncoding: "the Transfer-Encoding field is not valid"
    case .unknownTransferCoding: "the only transfer coding known here is chunked"
    case .unknownExpectation: "the only expectation known here is 100-continue"
    case .invalidChunkSize: "a chunk size is not a hexadecimal number"
    case .invalidChunkExtension: "a chunk size is not followed by an extension or CRLF"
    case .chunkSizeLineTooLong: "the line of a chunk size is too long"
    case .invalidChunkEnd: "a chunk is not followed by CRLF"
    case .trailerTooLong: "the trailer section is too long"
    }
  }
}

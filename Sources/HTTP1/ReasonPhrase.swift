/// The reason phrase that belongs to a status code (RFC 9110 §15, RFC 6585), empty for codes not
/// used here.
package func reasonPhrase(for status: Int) -> StaticString {
  switch status {
  case 200: "OK"
  case 204: "No Content"
  case 307: "Temporary Redirect"
  case 308: "Permanent Redirect"
  case 400: "Bad Request"
  case 403: "Forbidden"
  case 404: "Not Found"
  case 405: "Method Not Allowed"
  case 408: "Request Timeout"
  case 413: "Content Too Large"
  case 414: "URI Too Long"
  case 417: "Expectation Failed"
  case 431: "Request Header Fields Too Large"
  case 500: "Internal Server Error"
  case 501: "Not Implemented"
  case 503: "Service Unavailable"
  case 505: "HTTP Version Not Supported"
  case 508: "Loop Detected"
  default: ""
  }
}

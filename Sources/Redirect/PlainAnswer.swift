/// An answer with a JSON body: everything that is not a redirect.
struct PlainAnswer {
  let status: Int
  let statusLine: [UInt8]
  /// `Content-Type`, `Content-Length` and what else this status asks for.
  let fields: [UInt8]
  let body: [UInt8]

  init(status: Int, reason: String, fields: String = "", body: [UInt8]) {
    self.status = status
    statusLine = Array("HTTP/1.1 \(status) \(reason)\r\n".utf8)
    self.fields = Array(
      "Content-Type: application/json\r\nContent-Length: \(body.count)\r\n\(fields)".utf8)
    self.body = body
  }

  /// In the form of Vault's own errors, which its clients read.
  private init(status: Int, reason: String, fields: String, error: String) {
    self.init(
      status: status, reason: reason, fields: fields,
      body: Array("{\"errors\":[\"\(error)\"]}".utf8))
  }

  static let noActiveNode = PlainAnswer(
    status: 503, reason: "Service Unavailable", fields: "Retry-After: 1\r\n",
    error: "no active Vault node is known")

  static let methodNotAllowed = PlainAnswer(
    status: 405, reason: "Method Not Allowed", fields: "Allow: GET, HEAD\r\n",
    error: "the health of vault-redirector is read with GET or HEAD")

  /// RFC 5842 §7.2.
  static let loop = PlainAnswer(
    status: 508, reason: "Loop Detected", fields: "",
    error: "the active Vault node is this very address: a redirect would never end")
}

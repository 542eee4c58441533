import HTTP1
import Testing

private let date = HTTPDate(secondsSinceEpoch: 784_111_777)

private func written(_ capacity: Int = 2048, _ write: (inout OutputSpan<UInt8>) -> Void) -> String {
  let bytes = [UInt8](capacity: capacity) { write(&$0) }
  return String(decoding: bytes, as: UTF8.self)
}

private func written(_ response: ErrorResponse, extraFields: [UInt8] = []) -> String {
  let server = Array("vault-redirector/1.2.3".utf8)
  return written { output in
    output.append(response, date: date, server: server.span, extraFields: extraFields.span)
  }
}

@Test("An error answer has its fields and a body of the length it says")
func errorAnswer() {
  var response = ErrorResponse(status: 503, message: "no active node")
  response.keepsAlive = true
  let text = written(response, extraFields: Array("X-A: b\r\n".utf8))
  #expect(
    text == """
      HTTP/1.1 503 Service Unavailable\r
      Date: Sun, 06 Nov 1994 08:49:37 GMT\r
      Server: vault-redirector/1.2.3\r
      Cache-Control: no-store\r
      Content-Type: application/json\r
      Content-Length: 30\r
      Retry-After: 1\r
      X-A: b\r
      \r
      {"errors":["no active node"]}

      """)
}

@Test("The answer to HEAD has the length of a body and no body")
func errorAnswerToHead() {
  var response = ErrorResponse(status: 503, message: "no active node")
  let whole = written(response)
  response.isHead = true
  let head = written(response)
  #expect(whole == head + "{\"errors\":[\"no active node\"]}\n")
  #expect(head.hasSuffix("\r\n\r\n"))
}

@Test("Every refusal closes, and its answer is well-formed", arguments: RequestError.allCases)
func refusalAnswers(_ error: RequestError) throws {
  let text = written(ErrorResponse(error, method: .get))
  let parts = text.split(separator: "\r\n\r\n", maxSplits: 1)
  let lines = try #require(parts.first).split(separator: "\r\n")
  #expect(lines.first?.hasPrefix("HTTP/1.1 \(error.status) ") == true)
  #expect(lines.contains("Connection: close"))
  #expect(lines.contains("Content-Length: \(try #require(parts.last).utf8.count)"))
  #expect(lines.contains { $0.hasPrefix("Allow: ") } == (error.status == 405))
  #expect(parts.last.map(String.init) == "{\"errors\":[\"\(error.message)\"]}\n")
  #expect(text.utf8.count <= ErrorResponse.frameBytesMax + "\(error.message)".utf8.count + 22)
  #expect(written(ErrorResponse(error, method: .head)).hasSuffix("\r\n\r\n"))
}

@Test(
  "Connection is said only where it is needed",
  arguments: [
    (true, HTTPVersion.http11, ""), (true, .http10, "Connection: keep-alive\r\n"),
    (false, .http11, "Connection: close\r\n"), (false, .http10, "Connection: close\r\n"),
  ])
func connectionField(_ keepsAlive: Bool, _ version: HTTPVersion, _ expected: String) {
  #expect(
    written { $0.appendConnectionField(keepsAlive: keepsAlive, version: version) } == expected)
}

@Test(
  "Every status in use has its reason",
  arguments: [
    200, 204, 307, 308, 400, 403, 404, 405, 408, 413, 414, 417, 431, 500, 501, 503, 505, 508,
  ])
func reasons(_ status: Int) {
  #expect(!reasonPhrase(for: status).description.isEmpty)
  #expect(
    written { $0.appendStatusLine(status) }
      == "HTTP/1.1 \(status) \(reasonPhrase(for: status))\r\n")
}

@Test("Numbers are decimal", arguments: [0, 7, 10, 4096, Int.max])
func numbers(_ number: Int) {
  #expect(written { $0.append(decimal: number) } == String(number))
  #expect(
    written { $0.appendField("Content-Length", decimal: number) }
      == "Content-Length: \(number)\r\n")
}

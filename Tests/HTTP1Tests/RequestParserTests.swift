import HTTP1
import Testing

/// What a valid head says, with the ranges as text.
private struct Expectation: Sendable {
  var input: String
  var method = Method.get
  var target: String
  var path: String
  var needsSlash = false
  var version = HTTPVersion.http11
  var keepsAlive = true
  var framing = BodyFraming.none
  var expectsContinue = false
  var host: String? = "a"
}

private let expectations: [Expectation] = [
  Expectation(
    input: "GET /v1/x?a=b%2Fc//d?e HTTP/1.1\r\nHost: vault.example:8200\r\n\r\n",
    target: "/v1/x?a=b%2Fc//d?e", path: "/v1/x", host: "vault.example:8200"),
  Expectation(
    input: "\r\nHEAD //evil.example HTTP/1.1\r\nHoSt:\t [::1]:80 \r\n\r\n", method: .head,
    target: "//evil.example", path: "//evil.example", host: "[::1]:80"),
  Expectation(
    input: "LIST /? HTTP/1.7\r\nHost: a\r\n\r\n", method: .list, target: "/?", path: "/"),
  Expectation(
    input: "SCAN hTTp://u.example:1/p?q HTTP/1.1\r\nHost: a\r\n\r\n", method: .scan,
    target: "/p?q", path: "/p"),
  Expectation(
    input: "GET https://u.example HTTP/1.1\r\nHost: a\r\n\r\n", target: "", path: "",
    needsSlash: true),
  Expectation(
    input: "GET https://u.example?q=/ HTTP/1.1\r\nHost: a\r\n\r\n", target: "?q=/", path: "",
    needsSlash: true),
  Expectation(
    input: "get / HTTP/1.0\r\n\r\n", method: .other, target: "/", path: "/", version: .http10,
    keepsAlive: false, host: nil),
  Expectation(
    input: "POST / HTTP/1.0\r\nConnection: x, keep-ALIVE\r\nContent-Length: 12\r\n\r\n",
    method: .post, target: "/", path: "/", version: .http10, framing: .length(12), host: nil),
  Expectation(
    input: "GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n",
    target: "/", path: "/", version: .http10, keepsAlive: false, host: nil),
  Expectation(
    input: "DELETE / HTTP/1.1\r\nHost: a\r\nConnection: TE , close\r\n\r\n", method: .delete,
    target: "/", path: "/", keepsAlive: false),
  Expectation(
    input: "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 007 \r\nExpect: 100-Continue\r\n\r\n",
    method: .put, target: "/", path: "/", framing: .length(7), expectsContinue: true),
  Expectation(
    input: "PATCH / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: CHUNKED\r\n\r\n", method: .patch,
    target: "/", path: "/", framing: .chunked),
  Expectation(
    input: "OPTIONS /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n",
    method: .options, target: "/x", path: "/x"),
  Expectation(
    input: "PUT / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", method: .put,
    target: "/", path: "/", version: .http10, keepsAlive: false, framing: .length(5), host: nil),
]

@Test("A valid head says what it says", arguments: expectations)
private func validHead(_ expected: Expectation) throws {
  let input = bytes(expected.input)
  guard case .complete(let head) = parse(input + bytes("rest")) else {
    Issue.record("not complete: \(parse(input))")
    return
  }
  func text(_ range: Range<Int>) -> String { String(decoding: input[range], as: UTF8.self) }
  #expect(head.method == expected.method)
  let start = expected.input.hasPrefix("\r\n") ? 2 : 0
  #expect(head.methodRange.lowerBound == start)
  #expect(text(head.methodRange).uppercased() == token(expected.input))
  #expect(text(head.target.range) == expected.target)
  #expect(text(head.target.range.lowerBound..<head.target.pathEnd) == expected.path)
  #expect(head.target.needsSlash == expected.needsSlash)
  #expect(head.version == expected.version)
  #expect(head.keepsAlive == expected.keepsAlive)
  #expect(head.framing == expected.framing)
  #expect(head.expectsContinue == expected.expectsContinue)
  #expect(head.host.map(text) == expected.host)
  #expect(head.headBytes == input.count)
}

private func token(_ input: String) -> String {
  let line = input.hasPrefix("\r\n") ? input.dropFirst() : input[...]
  return line.prefix { $0 != " " }.uppercased()
}

@Test("One parser reads pipelined heads one after the other")
func pipelined() {
  let heads = validHeads.map(bytes)
  let input = heads.flatMap { $0 }
  var parser = RequestParser()
  var start = 0
  for head in heads {
    let result = parser.parse(input.span.extracting(start...))
    #expect(result == parse(head))
    #expect(parser.parse(input.span.extracting(start...)) == result, "a result stays until reset")
    parser.reset()
    start += head.count
  }
  #expect(start == input.count)
}

@Test("The method is known to whoever answers an error")
func methodAfterError() {
  var parser = RequestParser()
  let line = bytes("HEAD /\u{1} HTTP/1.1\r\n")
  #expect(parser.method == nil)
  #expect(parser.parse(line.span) == .failed(.controlByte))
  #expect(parser.method == .head)
  parser.reset()
  #expect(parser.method == nil)
}

@Test("Every method's token is told apart", arguments: Method.allCases)
func methodTokens(_ method: Method) {
  let input = bytes("\(method.token) / HTTP/1.1\r\nHost: a\r\n\r\n")
  switch parse(input) {
  case .complete(let head): #expect(head.method == method)
  case .failed(let error):
    #expect(error == .methodNotAllowed)
    #expect(method == .connect || method == .trace)
  case .incomplete: Issue.record("incomplete")
  }
}

@Test("A token that only begins like a method is another", arguments: ["GE", "GETS", "PU", "PUTT"])
func methodLookalikes(_ token: String) throws {
  guard case .complete(let head) = parse(bytes("\(token) / HTTP/1.1\r\nHost: a\r\n\r\n")) else {
    Issue.record("not complete")
    return
  }
  #expect(head.method == .other)
  #expect(head.methodRange == 0..<token.utf8.count)
}

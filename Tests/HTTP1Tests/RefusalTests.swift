import GuardPage
import HTTP1
import Testing

private let rest = " HTTP/1.1\r\nHost: a\r\n\r\n"
private let line = "GET / HTTP/1.1\r\n"
private let host = line + "Host: a\r\n"

/// Input, the error, and its status.
private let refusals: [(String, RequestError, Int)] = [
  // The request line
  ("\r\n\r\nGET /" + rest, .malformedMethod, 400),
  ("\nGET /" + rest, .bareLineFeed, 400),
  ("\rGET /" + rest, .bareCarriageReturn, 400),
  (" GET /" + rest, .malformedMethod, 400),
  ("GET\t/" + rest, .malformedMethod, 400),
  ("GE(T /" + rest, .malformedMethod, 400),
  ("G\u{e9}T /" + rest, .malformedMethod, 400),
  ("GET\r\n\r\n", .malformedMethod, 400),
  ("GET\u{0} /" + rest, .controlByte, 400),
  ("\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}", .controlByte, 400),
  ("CONNECT a:443" + rest, .methodNotAllowed, 405),
  ("TRACE /" + rest, .methodNotAllowed, 405),
  ("OPTIONS *" + rest, .asteriskTarget, 400),
  ("GET *" + rest, .malformedTarget, 400),
  ("GET  /" + rest, .malformedTarget, 400),
  ("GET @evil.example/" + rest, .malformedTarget, 400),
  ("GET .evil.example/" + rest, .malformedTarget, 400),
  ("GET :80/" + rest, .malformedTarget, 400),
  ("GET ?q" + rest, .malformedTarget, 400),
  ("GET x/y" + rest, .malformedTarget, 400),
  ("GET \r\n", .malformedTarget, 400),
  ("GET ftp://a/" + rest, .malformedTarget, 400),
  ("GET h" + rest, .malformedTarget, 400),
  ("GET httpx://a/" + rest, .malformedTarget, 400),
  ("GET http:/a/" + rest, .malformedTarget, 400),
  ("GET http://" + rest, .targetAuthority, 400),
  ("GET http:///p" + rest, .targetAuthority, 400),
  ("GET http://?q" + rest, .targetAuthority, 400),
  ("GET http://user@a/" + rest, .targetAuthority, 400),
  ("GET http://user:pw@a/" + rest, .targetAuthority, 400),
  ("GET https://a\\b/" + rest, .targetAuthority, 400),
  ("GET /a#b" + rest, .targetFragment, 400),
  ("GET http://a#b" + rest, .targetFragment, 400),
  ("GET /a\u{0}b" + rest, .controlByte, 400),
  ("GET /a\tb" + rest, .targetByte, 400),
  ("GET /a\u{7f}b" + rest, .controlByte, 400),
  ("GET /a\u{80}b" + rest, .targetByte, 400),
  ("GET /a?\u{ff}" + rest, .targetByte, 400),
  ("GET /a\n", .bareLineFeed, 400),
  ("GET /a\rb" + rest, .bareCarriageReturn, 400),
  ("GET /a\r\n", .unsupportedVersion, 505),
  ("GET / HTTP/2.0\r\n", .unsupportedVersion, 505),
  ("GET / HTTP/0.9\r\n", .unsupportedVersion, 505),
  ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .unsupportedVersion, 505),
  ("GET / b" + rest, .malformedVersion, 400),
  ("GET / " + rest, .malformedVersion, 400),
  ("GET / http/1.1\r\n", .malformedVersion, 400),
  ("GET / HTTP/1\r\n", .malformedVersion, 400),
  ("GET / HTTP/1.\r\n", .malformedVersion, 400),
  ("GET / HTTP/1.10\r\n", .malformedVersion, 400),
  ("GET / HTTP/1.1 \r\n", .malformedVersion, 400),
  ("GET / HTTP/1.1\n", .bareLineFeed, 400),
  ("GET / HTTP/1.1\rH", .bareCarriageReturn, 400),

  // Field lines
  (line + " Host: a\r\n\r\n", .lineFolding, 400),
  (host + "X: 1\r\n 2\r\n\r\n", .lineFolding, 400),
  (host + "X: 1\r\n\t2\r\n\r\n", .lineFolding, 400),
  (host + "X : 1\r\n\r\n", .whitespaceBeforeColon, 400),
  (host + "X\t: 1\r\n\r\n", .whitespaceBeforeColon, 400),
  (host + ": 1\r\n\r\n", .malformedFieldName, 400),
  (host + "X\r\n\r\n", .malformedFieldName, 400),
  (host + "X(: 1\r\n\r\n", .malformedFieldName, 400),
  (host + "\u{e9}: 1\r\n\r\n", .malformedFieldName, 400),
  (host + "X\u{0}: 1\r\n\r\n", .controlByte, 400),
  (host + "X\n: 1\r\n\r\n", .bareLineFeed, 400),
  (host + "X: 1\n\r\n", .bareLineFeed, 400),
  (host + "X: 1\r\r\n", .bareCarriageReturn, 400),
  (host + "X: 1\r2\r\n\r\n", .bareCarriageReturn, 400),
  (host + "X: 1\u{0}\r\n\r\n", .controlByte, 400),
  (host + "X: 1\u{b}\r\n\r\n", .controlByte, 400),
  (host + "X: 1\u{1b}\r\n\r\n", .controlByte, 400),
  (host + "X: 1\u{7f}\r\n\r\n", .controlByte, 400),
  (host + "\n", .bareLineFeed, 400),
  (host + "\rX", .bareCarriageReturn, 400),

  // Host
  (line + "\r\n", .missingHost, 400),
  (line + "X-Host: a\r\n\r\n", .missingHost, 400),
  (host + "host: a\r\n\r\n", .duplicateHost, 400),
  ("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", .duplicateHost, 400),
  (line + "Host:\r\n\r\n", .invalidHost, 400),
  (line + "Host: \t\r\n\r\n", .invalidHost, 400),
  (line + "Host: a b\r\n\r\n", .invalidHost, 400),
  (line + "Host: a@b\r\n\r\n", .invalidHost, 400),
  ("GET / HTTP/1.0\r\nHost: a/b\r\n\r\n", .invalidHost, 400),

  // Body framing
  (host + "Content-Length:\r\n\r\n", .invalidContentLength, 400),
  (host + "Content-Length: +5\r\n\r\n", .invalidContentLength, 400),
  (host + "Content-Length: -5\r\n\r\n", .invalidContentLength, 400),
  (host + "Content-Length: 5, 5\r\n\r\n", .invalidContentLength, 400),
  (host + "Content-Length: 5 5\r\n\r\n", .invalidContentLength, 400),
  (host + "Content-Length: 0x5\r\n\r\n", .invalidContentLength, 400),
  (host + "Content-Length: 18446744073709551616\r\n\r\n", .invalidContentLength, 400),
  (host + "Content-Length: 99999999999999999999\r\n\r\n", .invalidContentLength, 400),
  (host + "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", .duplicateContentLength, 400),
  (host + "Content-Length: 0\r\nContent-Length: 5\r\n\r\n", .duplicateContentLength, 400),
  (
    host + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    .contentLengthAndTransferEncoding, 400
  ),
  (
    host + "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
    .contentLengthAndTransferEncoding, 400
  ),
  (host + "Transfer-Encoding:\r\n\r\n", .invalidTransferEncoding, 400),
  (host + "Transfer-Encoding: chunked,\r\n\r\n", .invalidTransferEncoding, 400),
  (host + "Transfer-Encoding: ,chunked\r\n\r\n", .invalidTransferEncoding, 400),
  (host + "Transfer-Encoding: chunked, chunked\r\n\r\n", .invalidTransferEncoding, 400),
  (host + "Transfer-Encoding: chunked, gzip\r\n\r\n", .invalidTransferEncoding, 400),
  (host + "Transfer-Encoding: chunked;q=1\r\n\r\n", .invalidTransferEncoding, 400),
  (host + "Transfer-Encoding: \"chunked\"\r\n\r\n", .invalidTransferEncoding, 400),
  (host + "Transfer-Encoding: chunked gzip\r\n\r\n", .invalidTransferEncoding, 400),
  (
    host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    .invalidTransferEncoding, 400
  ),
  ("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", .invalidTransferEncoding, 400),
  (host + "Transfer-Encoding: gzip, chunked\r\n\r\n", .unknownTransferCoding, 501),
  (host + "Transfer-Encoding: identity\r\n\r\n", .unknownTransferCoding, 501),
  (host + "Transfer-Encoding: xchunked\r\n\r\n", .unknownTransferCoding, 501),
  (host + "Transfer-Encoding: gzip;level=9\r\n\r\n", .unknownTransferCoding, 501),
  (host + "Expect: 200-ok\r\n\r\n", .unknownExpectation, 417),
  (host + "Expect:\r\n\r\n", .unknownExpectation, 417),
  (host + "Expect: 100-continue, x\r\n\r\n", .unknownExpectation, 417),
]

@Test("A malformed head is refused, and alike however it is cut up", arguments: refusals)
private func refusal(_ input: String, _ error: RequestError, _ status: Int) throws {
  let input = bytes(input)
  #expect(parse(input) == .failed(error))
  #expect(error.status == status)
  for split in 0...input.count {
    #expect(parse(input, upTo: [split, input.count]).last == .failed(error))
  }
  #expect(parse(input, upTo: 0...input.count).last == .failed(error))
  #expect(withGuardPage(behind: input, { RequestParser.once($0) }) == .failed(error))
}

extension RequestParser {
  static func once(_ bytes: Span<UInt8>) -> ParseResult {
    var parser = RequestParser()
    return parser.parse(bytes)
  }
}

/// Each of these fails with its last byte, and not before.
@Test(
  "A wrong byte is refused when it is seen",
  arguments: [
    "GET @", "GET /a#", "GET /\u{80}", "GE(", "GET / b", "GET / HTTP/2", "CONNECT ", "\r\n\r",
    "GET / HTTP/1.1\r\n ", "GET / HTTP/1.1\r\nX ", "GET / HTTP/1.1\r\nX: \u{0}",
    "GET / HTTP/1.1\r\nX: 1\n", "GET / HTTP/1.1\r\nX: 1\r\r",
    "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n", "GET / HTTP/1.1\r\nContent-Length: x\r\n",
  ])
func earlyRefusal(_ input: String) throws {
  let input = bytes(input)
  let results = parse(input, upTo: 0...input.count)
  #expect(results.dropLast().allSatisfy { $0 == .incomplete })
  guard case .failed = results.last else {
    Issue.record("accepted")
    return
  }
}

@Test("Labels are in snake_case and messages fit for JSON", arguments: RequestError.allCases)
func errorTexts(_ error: RequestError) {
  #expect(!error.label.isEmpty)
  #expect(error.label.allSatisfy { $0.isLowercase || $0 == "_" })
  let message = error.message.description
  #expect(!message.isEmpty)
  #expect(message.utf8.allSatisfy { (0x20...0x7E).contains($0) && $0 != 0x22 && $0 != 0x5C })
  #expect([400, 405, 414, 417, 431, 501, 505].contains(error.status))
  #expect(!reasonPhrase(for: error.status).description.isEmpty)
}

import HTTP1

/// Inputs in Latin-1: each character below U+0100 is one byte.
func bytes(_ text: String) -> [UInt8] {
  text.unicodeScalars.map { UInt8($0.value) }
}

func parse(_ input: [UInt8], limits: MessageLimits = MessageLimits()) -> ParseResult {
  var parser = RequestParser(limits: limits)
  return parser.parse(input.span)
}

/// Parses `input` with one call for each of the ascending `ends`; all results but the last are
/// returned as well.
func parse(
  _ input: [UInt8], upTo ends: some Sequence<Int>, limits: MessageLimits = MessageLimits()
) -> [ParseResult] {
  var parser = RequestParser(limits: limits)
  return ends.map { parser.parse(input.span.extracting(first: $0)) }
}

/// Heads that are valid, each exactly as long as itself.
let validHeads: [String] = [
  "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
  "GET /v1/sys/health?a=b%2Fc//d HTTP/1.1\r\nHost: vault.example:8200\r\n\r\n",
  "\r\nGET /leading-crlf HTTP/1.1\r\nHost: a\r\n\r\n",
  "HEAD //evil.example/ HTTP/1.1\r\nHost:a\r\n\r\n",
  "LIST /v1/secret/metadata/?list=true&x=? HTTP/1.1\r\nhost: \t a \t \r\n\r\n",
  "SCAN /v1/secret HTTP/1.1\r\nHOST: [::1]:8200\r\n\r\n",
  "get /odd-\"<>\\^`{|}-bytes HTTP/1.1\r\nHost: a\r\n\r\n",
  "M-SEARCH / HTTP/1.9\r\nHost: 192.0.2.1\r\n\r\n",
  "GET http://other.example/p?q HTTP/1.1\r\nHost: a\r\n\r\n",
  "GET HTTPS://[2001:db8::1]:443 HTTP/1.1\r\nHost: a\r\n\r\n",
  "GET http://other.example?q=/ HTTP/1.1\r\nHost: a\r\n\r\n",
  "GET / HTTP/1.0\r\n\r\n",
  "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
  "GET / HTTP/1.0\r\nHost: a\r\nConnection: foo, keep-alive , close\r\n\r\n",
  "GET / HTTP/1.1\r\nHost: a\r\nConnection: ,Upgrade,\t CLOSE\r\nUpgrade: h2c\r\n\r\n",
  "PUT /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n",
  "PUT /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 000\r\n\r\n",
  "POST /v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nExpect: 100-Continue\r\n\r\n",
  "PATCH /v1/x HTTP/1.1\r\nHost: a\r\nX-Vault-Token: hvs.\u{e9}\u{ff} ~!\t\r\nEmpty:\r\n\r\n",
  "OPTIONS /v1/x HTTP/1.1\r\nHost: a\r\n!#$%&'*+-.^_`|~09azAZ: odd name\r\n\r\n",
]

import HTTP1
import Testing

/// A head whose request line has `lineBytes` bytes with its CRLF.
private func head(lineBytes: Int) -> [UInt8] {
  let frame = "GET / HTTP/1.1\r\n"
  let path = String(repeating: "a", count: lineBytes - frame.utf8.count)
  return bytes("GET /\(path) HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// A head of `headBytes` bytes in all.
private func head(headBytes: Int) -> [UInt8] {
  let frame = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n"
  let value = String(repeating: "v", count: headBytes - frame.utf8.count)
  return bytes("GET / HTTP/1.1\r\nHost: a\r\nX: \(value)\r\n\r\n")
}

private func head(fields: Int) -> [UInt8] {
  let more = (1..<fields).map { "X-\($0): y\r\n" }.joined()
  return bytes("GET / HTTP/1.1\r\nHost: a\r\n\(more)\r\n")
}

private func isComplete(_ result: ParseResult) -> Bool {
  if case .complete = result { return true }
  return false
}

@Test("A request line at its limit passes, and one byte more is 414")
func requestLineLimit() {
  let limit = MessageLimits().requestLineBytesMax
  #expect(limit == 16_384)
  #expect(isComplete(parse(head(lineBytes: limit))))
  #expect(parse(head(lineBytes: limit + 1)) == .failed(.requestLineTooLong))
  #expect(RequestError.requestLineTooLong.status == 414)
}

@Test("A head at its limit passes, and one byte more is 431")
func headLimit() {
  let limit = MessageLimits().headBytesMax
  #expect(limit == 32_768)
  #expect(isComplete(parse(head(headBytes: limit))))
  #expect(parse(head(headBytes: limit + 1)) == .failed(.headTooLong))
  #expect(RequestError.headTooLong.status == 431)
}

@Test("As many fields as allowed pass, and one more is 431")
func fieldLimit() {
  let limit = MessageLimits().fieldsMax
  #expect(limit == 100)
  #expect(isComplete(parse(head(fields: limit))))
  #expect(parse(head(fields: limit + 1)) == .failed(.tooManyFields))
  #expect(RequestError.tooManyFields.status == 431)
}

@Test("Limits hold at every split, and without the end of the line in sight")
func limitsAtEverySplit() {
  var limits = MessageLimits()
  limits.requestLineBytesMax = 40
  limits.headBytesMax = 80
  limits.fieldsMax = 3
  let cases: [([UInt8], RequestError?)] = [
    (head(lineBytes: 40), nil), (head(lineBytes: 41), .requestLineTooLong),
    (bytes("GET /" + String(repeating: "a", count: 35)), .requestLineTooLong),
    (bytes(String(repeating: "M", count: 40)), .requestLineTooLong),
    (head(headBytes: 80), nil), (head(headBytes: 81), .headTooLong),
    (Array(head(headBytes: 100).prefix(80)), .headTooLong),
    (head(fields: 3), nil), (head(fields: 4), .tooManyFields),
  ]
  for (input, error) in cases {
    let whole = parse(input, limits: limits)
    if let error { #expect(whole == .failed(error)) } else { #expect(isComplete(whole)) }
    for split in 0...input.count {
      #expect(parse(input, upTo: [split, input.count], limits: limits).last == whole)
    }
    #expect(parse(input, upTo: 0...input.count, limits: limits).last == whole)
  }
}

@Test("A head limit below the line's limit counts for the line, too")
func headLimitBelowLineLimit() {
  var limits = MessageLimits()
  limits.headBytesMax = 20
  #expect(parse(head(lineBytes: 30), limits: limits) == .failed(.requestLineTooLong))
}

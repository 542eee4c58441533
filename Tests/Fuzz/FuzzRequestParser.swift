import HTTP1

@c(LLVMFuzzerTestOneInput)
func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  // libFuzzer owns `count` bytes at `data` for the length of this call, and no byte more: ASan sees
  // whoever reads behind them.
  let input = unsafe Span(_unsafeElements: UnsafeBufferPointer(start: data, count: count))
  fuzz(input, limits: MessageLimits())
  // Limits that inputs of the usual size run into.
  var narrow = MessageLimits()
  narrow.requestLineBytesMax = 48
  narrow.headBytesMax = 128
  narrow.fieldsMax = 3
  fuzz(input, limits: narrow)
  return 0
}

private func fuzz(_ input: Span<UInt8>, limits: MessageLimits) {
  var parser = RequestParser(limits: limits)
  let whole = parser.parse(input)
  for ends in input.arrivals {
    var parser = RequestParser(limits: limits)
    var result = ParseResult.incomplete
    for end in ends {
      let next = parser.parse(input.extracting(first: end))
      check(result == .incomplete || result == next, "a result stays what it is")
      result = next
    }
    check(result == whole, "the result does not depend on how the bytes arrive")
    parser.reset()
    check(parser.parse(input) == whole, "a parser that was reset is like a new one")
  }
  switch whole {
  case .incomplete:
    check(input.count < limits.headBytesMax, "a head has an end")
  case .failed(let error):
    check((400...599).contains(error.status), "a refusal is an error")
  case .complete(let head):
    checkHead(head, input.extracting(first: head.headBytes), limits)
    check(
      RequestParser.once(input.extracting(first: head.headBytes), limits) == whole,
      "what follows is not looked at")
    let almost = input.extracting(first: head.headBytes - 1)
    check(RequestParser.once(almost, limits) == .incomplete, "every byte of a head counts")
  }
}

private func checkHead(_ head: RequestHead, _ bytes: Span<UInt8>, _ limits: MessageLimits) {
  let count = head.headBytes
  check(bytes.count == count && count <= limits.headBytesMax, "a head is within bounds")
  for index in bytes.indices {
    let (byte, next) = (bytes[index], index + 1 < count ? bytes[index + 1] : 0)
    check(byte != 0x0D || next == 0x0A, "CR stands before LF")
    check(byte != 0x0A || (index > 0 && bytes[index - 1] == 0x0D), "LF stands behind CR")
    check(byte >= 0x20 || [0x09, 0x0A, 0x0D].contains(byte), "no control byte is in a head")
    check(byte != 0x7F, "no control byte is in a head")
  }
  check(bytes[count - 3] == 0x0A && bytes[count - 1] == 0x0A, "an empty line ends a head")

  let target = head.target
  check(!head.methodRange.isEmpty, "there is a method")
  check(head.methodRange.upperBound < target.range.lowerBound, "the target is behind the method")
  check(target.range.upperBound < count, "the target is in the head")
  check(
    (target.range.lowerBound...target.range.upperBound).contains(target.pathEnd),
    "the path ends in the target")
  for index in target.range {
    check((0x21...0x7E).contains(bytes[index]) && bytes[index] != 0x23, "a target is visible ASCII")
  }
  if target.needsSlash {
    check(target.pathEnd == target.range.lowerBound, "a target that needs a slash has no path")
  } else {
    check(bytes[target.range.lowerBound] == 0x2F, "a path begins with a slash")
  }
  if target.pathEnd < target.range.upperBound {
    check(bytes[target.pathEnd] == 0x3F, "a query begins with a question mark")
  }

  check(head.host != nil || head.version == .http10, "HTTP/1.1 has a host")
  if let host = head.host {
    check(!host.isEmpty && host.upperBound < count, "a host is in the head")
  }
  check(head.framing != .length(0), "a body has a byte at least")
  check(head.framing != .chunked || head.version == .http11, "HTTP/1.0 knows no chunks")
  check(!head.expectsContinue || head.framing != .none, "only a body is waited with")
  check(head.method != .connect && head.method != .trace, "CONNECT and TRACE are refused")
}

extension RequestParser {
  fileprivate static func once(_ bytes: Span<UInt8>, _ limits: MessageLimits) -> ParseResult {
    var parser = RequestParser(limits: limits)
    return parser.parse(bytes)
  }
}

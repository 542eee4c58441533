import GuardPage
import ProxyProtocol
import Testing

@Test("A valid header says what it says, and not a byte more is consumed", arguments: validHeaders)
func validHeader(_ input: [UInt8], _ header: ProxyHeader) {
  let whole = ProxyParseResult.complete(header, consumed: input.count)
  let mode: ProxyProtocolMode = header.version == .v1 ? .v1 : .v2
  #expect(parse(input) == whole)
  #expect(parse(input, mode: mode) == whole)
  #expect(parse(input + bytes("\u{16}\u{3}\u{1}"), mode: mode) == whole)
  #expect(parse(input + input) == whole)
  if header.command == .proxy { #expect(header.source != nil && header.destination != nil) }
}

@Test(
  "Every prefix is incomplete, and says what is missing without a byte too many",
  arguments: validHeaders)
func prefixes(_ input: [UInt8], _ header: ProxyHeader) throws {
  for mode in [header.version == .v1 ? ProxyProtocolMode.v1 : .v2, .any] {
    for end in 0..<input.count {
      guard case .incomplete(let needs) = parse(Array(input.prefix(end)), mode: mode) else {
        Issue.record("not incomplete at \(end)")
        continue
      }
      #expect(needs > end)
      #expect(needs <= input.count)
      if header.version == .v2, end >= 16 { #expect(needs == input.count) }
    }
  }
}

@Test("A header may come as a caller waits for it: by what it needs", arguments: validHeaders)
func obeyed(_ input: [UInt8], _ header: ProxyHeader) {
  var end = 0
  while true {
    switch parse(Array(input.prefix(end))) {
    case .incomplete(let needs): end = needs
    case let result:
      #expect(result == .complete(header, consumed: input.count))
      return
    }
  }
}

@Test("No byte behind the input is read", arguments: validHeaders)
func guarded(_ input: [UInt8], _ header: ProxyHeader) throws {
  let parser = try #require(ProxyHeaderParser(mode: .any))
  for end in 0...input.count {
    let part = Array(input.prefix(end))
    #expect(withGuardPage(behind: part) { parser.parse($0) } == parse(part))
  }
}

@Test("Nothing is parsed where no header is expected")
func off() {
  #expect(ProxyHeaderParser(mode: .off) == nil)
  #expect(ProxyProtocolMode(rawValue: "off") == .off)
  #expect(ProxyProtocolMode.allCases.map(\.rawValue) == ["off", "v1", "v2", "any"])
}

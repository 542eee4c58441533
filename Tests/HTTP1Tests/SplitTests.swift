import GuardPage
import HTTP1
import Testing

@Test("Every prefix of a valid head is incomplete", arguments: validHeads)
func prefixes(_ text: String) {
  let input = bytes(text)
  for end in 0..<input.count {
    #expect(parse(Array(input.prefix(end))) == .incomplete)
  }
}

@Test(
  "Every split in two gives the same head, and so does one byte after the other",
  arguments: validHeads)
func splits(_ text: String) {
  let input = bytes(text)
  let whole = parse(input)
  guard case .complete(let head) = whole else {
    Issue.record("not complete: \(whole)")
    return
  }
  #expect(head.headBytes == input.count)
  for split in 0..<input.count {
    #expect(parse(input, upTo: [split, input.count]) == [.incomplete, whole])
  }
  let dribbled = parse(input, upTo: 1...input.count)
  #expect(dribbled.dropLast().allSatisfy { $0 == .incomplete })
  #expect(dribbled.last == whole)
}

@Test("What follows a head does not change it", arguments: validHeads)
func followed(_ text: String) {
  let input = bytes(text)
  #expect(parse(input + input) == parse(input))
  #expect(parse(input + [0, 10, 13, 255]) == parse(input))
}

@Test("No byte behind the input is read", arguments: validHeads)
func guarded(_ text: String) throws {
  let input = bytes(text)
  let whole = parse(input)
  for end in 0...input.count {
    let result = withGuardPage(behind: Array(input.prefix(end))) { RequestParser.once($0) }
    #expect(result == (end == input.count ? whole : .incomplete))
  }
}

@Test("A head of full size may come one byte after the other")
func dribbledFullHead() {
  let value = String(repeating: "v", count: 10_000)
  let fields = (1...3).map { "X\($0): \(value)\r\n" }.joined()
  let input = bytes("PUT / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n")
  #expect(parse(input, upTo: 1...input.count).last == parse(input))
}

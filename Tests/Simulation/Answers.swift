/// An answer as a client received it, whole.
struct Answer {
  var status = 0
  var location: [UInt8]?
  var body: [UInt8] = []
  var asksClose = false
  var saysKeepAlive = false
}

/// Takes answers out of what a client receives, whatever the pieces are.
struct AnswerReader {
  private var bytes: [UInt8] = []
  private var start = 0

  /// A part of an answer is here.
  var isInside: Bool { start < bytes.count }

  /// What it is, for a message.
  var rest: String { String(decoding: bytes[start...].prefix(300), as: UTF8.self) }

  mutating func append(_ more: ArraySlice<UInt8>) {
    if start == bytes.count {
      bytes.removeAll(keepingCapacity: true)
      start = 0
    }
    bytes += more
  }

  /// The next answer; nil while it is not whole.
  ///
  /// - Parameter isHead: the request was HEAD, and no body follows.
  mutating func next(isHead: Bool) throws(Violation) -> Answer? {
    guard let end = endOfHead() else {
      if bytes.count - start > 65_536 { throw malformed("a head without an end") }
      return nil
    }
    var answer = Answer()
    var length: Int?
    var line = start
    while line < end {
      let lineEnd = endOfLine(line)
      if line == start {
        answer.status = try readStatus(line..<lineEnd)
      } else if let value = value(of: "Location: ", line..<lineEnd) {
        guard answer.location == nil else { throw malformed("two Location fields") }
        answer.location = Array(bytes[value])
      } else if let value = value(of: "Content-Length: ", line..<lineEnd) {
        guard length == nil else { throw malformed("two Content-Length fields") }
        length = Int(String(decoding: bytes[value], as: UTF8.self))
      } else if let value = value(of: "Connection: ", line..<lineEnd) {
        answer.asksClose = bytes[value].elementsEqual("close".utf8)
        answer.saysKeepAlive = bytes[value].elementsEqual("keep-alive".utf8)
      }
      line = lineEnd + 2
    }
    guard let length else { throw malformed("no Content-Length") }
    let bodyStart = end + 2
    // Of a request that is late the server may not know yet that it is HEAD.
    let hasBody = answer.status == 408 && bodyStart < bytes.count
    let bodyEnd = bodyStart + (isHead && !hasBody ? 0 : length)
    if bytes.count < bodyEnd { return nil }
    answer.body = Array(bytes[bodyStart..<bodyEnd])
    start = bodyEnd
    return answer
  }

  /// Where the empty line begins.
  private func endOfHead() -> Int? {
    var index = start
    while index + 3 < bytes.count {
      if bytes[index + 3] == 0x0A, bytes[index + 2] == 0x0D, bytes[index + 1] == 0x0A,
        bytes[index] == 0x0D
      {
        return index + 2
      }
      index += 1
    }
    return nil
  }

  private func endOfLine(_ from: Int) -> Int {
    var index = from
    while bytes[index] != 0x0D { index += 1 }
    return index
  }

  private func value(of name: StaticString, _ line: Range<Int>) -> Range<Int>? {
    let count = name.utf8CodeUnitCount
    guard line.count >= count else { return nil }
    // A literal of ASCII of that length, which stays where it is.
    for index in 0..<count where unsafe name.utf8Start[index] != bytes[line.lowerBound + index] {
      return nil
    }
    return line.lowerBound + count..<line.upperBound
  }

  private func readStatus(_ line: Range<Int>) throws(Violation) -> Int {
    guard let rest = value(of: "HTTP/1.1 ", line), rest.count > 4,
      let status = Int(String(decoding: bytes[rest.prefix(3)], as: UTF8.self))
    else { throw malformed("no status line") }
    return status
  }

  private func malformed(_ what: String) -> Violation {
    Violation("a client receives its own answers", "\(what): \(rest)")
  }
}

@testable import Discovery
import Redirect

/// A recorded answer of a real Consul: `Fixtures/consul/<folder>/<name>.http`.
struct Trace {
  let answer: OutboundAnswer

  init(_ path: String) throws {
    let file = try SmallFile.read("\(Self.folder)/\(path)", option: "fixture")
    let text = String(decoding: file.utf8.filter { $0 != UInt8(ascii: "\r") }, as: UTF8.self)
    let parts = text.split(separator: "\n\n", maxSplits: 1, omittingEmptySubsequences: false)
    var answer = OutboundAnswer(status: 0)
    for line in parts[0].split(separator: "\n") where !line.hasPrefix(">") {
      let words = line.drop { $0 == "<" || $0 == " " }.split(separator: " ")
      if words.first?.hasPrefix("HTTP/") == true {
        answer.status = Int(words[1]) ?? 0
      } else if let colon = line.firstIndex(of: ":") {
        answer.fields[line[..<colon].lowercased()] = trimmed(line[line.index(after: colon)...])
      }
    }
    if parts.count > 1 { answer.body = Array(parts[1].utf8) }
    self.answer = answer
  }

  static func failover(_ number: Int) throws -> Trace {
    let digits = String(number)
    return try Trace("failover/\(String(repeating: "0", count: 3 - digits.count))\(digits).http")
  }

  static let errors = [
    "bad-filter", "bad-index", "conflicting", "denied", "no-leader", "no-leader-stale",
    "too-many-connections", "unknown-token",
  ]

  private static var folder: String {
    let here = #filePath
    return here[..<(here.lastIndex(of: "/") ?? here.endIndex)] + "/Fixtures/consul"
  }
}

@testable import Discovery
import Redirect
import Testing

@Suite("No part of a secret is shown")
struct SafeTextTests {
  private static let token = "3f2b8c1a-77d0-4e6f-9b15-c0ffee00beef"

  private func shown(_ text: String, _ secrets: [String] = [token]) -> String {
    SafeText(text, hiding: secrets).text
  }

  @Test("A whole token, in any letter case, more than once")
  func whole() {
    #expect(shown("token \(Self.token) is not known") == "token [token] is not known")
    #expect(shown(Self.token.uppercased() + ", " + Self.token) == "[token], [token]")
    #expect(shown("nothing", []) == "nothing")
  }

  @Test("Whatever is cut off a token at either end, by whoever quotes it or by us")
  func parts() {
    let bytes = Array(Self.token)
    for start in bytes.indices {
      for end in start..<bytes.count where end - start >= 5 {
        #expect(shown("a " + String(bytes[start..<end]) + " b") == "a [token] b")
      }
    }
    for padding in 0..<600 {
      let text = shown(String(repeating: "x", count: padding) + Self.token)
      for start in 0..<(bytes.count - 5) {
        #expect(!text.contains(String(bytes[start..<start + 5])))
      }
    }
  }

  @Test("Short secrets as a whole, empty ones not at all")
  func short() {
    #expect(shown("root is root", ["root"]) == "[token] is [token]")
    #expect(shown("abc", [""]) == "abc")
  }

  @Test("Passwords and what is sent of them, old tokens, and tokens as a URL has them")
  func consul() throws {
    var secrets = ConsulSecrets(credentials: "user:pass word")
    secrets.add("old+token")
    secrets.add("new token")
    for text in ["pass word", "dXNlcjpwYXNzIHdvcmQ=", "old+token", "old%2Btoken", "new token"] {
      #expect(shown("is \(text).", secrets.texts) == "is [token].")
    }
  }

  @Test("A refusal that quotes the token where our cut falls, and libcurl's own words")
  func refusal() throws {
    let fixture = try MachineFixture.consul(environment: ["CONSUL_HTTP_TOKEN": Self.token])
    for padding in stride(from: 200, to: 300, by: 3) {
      var answer = OutboundAnswer(status: 403)
      answer.body = Array((String(repeating: "y", count: padding) + Self.token).utf8)
      try fixture.consul(answer)
      try fixture.consulFails("cannot use \(Self.token)")
      for line in fixture.logged.lines + [fixture.status.lastError ?? ""] {
        #expect(!line.contains("3f2b8"))
      }
    }
  }
}

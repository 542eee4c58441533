import HTTP1
import Redirect
import Synchronization
import Testing

@Suite("The answer to a request")
struct RedirectResponderTests {
  @Test("307 carries the target byte for byte")
  func redirects() throws {
    let fixture = Fixture()
    fixture.cell.publish(try node("vault-a.example.com"))
    let answer = fixture.ask(.init(method: .put, target: "/v1/x?a=b%2Fc//d;e+f"))
    #expect(answer.outcome == .answered(status: 307))
    #expect(
      answer.text == """
        HTTP/1.1 307 Temporary Redirect\r
        Date: Sun, 06 Nov 1994 08:49:37 GMT\r
        Server: vault-redirector/1.2.3\r
        Cache-Control: no-store\r
        Content-Length: 0\r
        Location: https://vault-a.example.com:8200/v1/x?a=b%2Fc//d;e+f\r
        \r

        """)
    #expect(fixture.responder.lastLocationHost == "vault-a.example.com")
  }

  @Test(
    "An absolute-form target without a path gets its slash",
    arguments: [("", "/"), ("?q=1", "/?q=1")])
  func slash(target: String, expected: String) throws {
    let fixture = Fixture()
    fixture.cell.publish(try node("2001:db8::1", scheme: .http))
    let answer = fixture.ask(.init(target: target, needsSlash: true))
    #expect(answer.text.contains("\r\nLocation: http://[2001:db8::1]:8200\(expected)\r\n"))
  }

  @Test(
    "The connection field says what differs from the version's default",
    arguments: [
      (HTTPVersion.http11, true, String?.none), (.http11, false, "close"),
      (.http10, true, "keep-alive"), (.http10, false, "close"),
    ])
  func connection(version: HTTPVersion, keepsAlive: Bool, expected: String?) throws {
    let fixture = Fixture()
    fixture.cell.publish(try node("a"))
    let text = fixture.ask(.init(version: version, keepsAlive: keepsAlive)).text
    #expect(text.hasSuffix("\r\n\r\n"))
    if let expected {
      #expect(text.contains("\r\nConnection: \(expected)\r\n"))
    } else {
      #expect(!text.contains("Connection:"))
    }
  }

  @Test("Without an active node: 503 in Vault's form, and HEAD without the body")
  func noNode() {
    let fixture = Fixture()
    let body = #"{"errors":["no active Vault node is known"]}"#
    let answer = fixture.ask()
    #expect(answer.outcome == .answered(status: 503))
    #expect(answer.text.hasPrefix("HTTP/1.1 503 Service Unavailable\r\nDate: "))
    #expect(answer.text.contains("\r\nRetry-After: 1\r\n"))
    #expect(answer.text.contains("\r\nCache-Control: no-store\r\n"))
    #expect(answer.text.contains("\r\nContent-Type: application/json\r\n"))
    #expect(answer.text.contains("\r\nContent-Length: \(body.utf8.count)\r\n"))
    #expect(answer.text.hasSuffix("\r\n\r\n" + body))
    let head = fixture.ask(.init(method: .head))
    #expect(head.text.contains("\r\nContent-Length: \(body.utf8.count)\r\n"))
    #expect(head.text.hasSuffix("\r\n\r\n"))
    #expect(fixture.responder.lastLocationHost == "")
  }

  @Test("A request that may wait is held, and answered once a node is published")
  func hold() throws {
    let fixture = Fixture()
    let held = fixture.ask(.init(mayHold: true))
    #expect(held.outcome == .hold)
    #expect(held.text == "")
    fixture.cell.publish(try node("b"))
    #expect(fixture.ask(.init(mayHold: true)).outcome == .answered(status: 307))
  }

  @Test("Each publication is what the next answer names")
  func follows() throws {
    let fixture = Fixture()
    for host in ["a", "b", "a"] {
      fixture.cell.publish(try node(host))
      #expect(fixture.ask().text.contains("Location: https://\(host):8200/"))
    }
    fixture.cell.publish(nil)
    #expect(fixture.ask().outcome == .answered(status: 503))
    #expect(fixture.responder.lastLocationHost == "")
  }

  @Test(
    "A request for the active node itself is a loop, reported once for each node",
    arguments: [
      (UInt16(8200), "vault-a:8200", true), (8200, "VAULT-A:8200", true),
      (8200, "vault-a", false), (8200, "vault-b:8200", false), (443, "vault-a", true),
      (443, "vault-a:443", true), (443, "vault-a:44", false), (8200, "", false),
    ])
  func loop(port: UInt16, host: String, isLoop: Bool) throws {
    let reports = Counter()
    let fixture = Fixture { _ in reports.add() }
    fixture.cell.publish(try node("vault-a", port: port))
    for _ in 0..<3 {
      let outcome = fixture.ask(.init(host: host)).outcome
      #expect(outcome == .answered(status: isLoop ? 508 : 307))
    }
    #expect(reports.value == (isLoop ? 1 : 0))
  }

  @Test("The longest host and the longest version fit")
  func longest() throws {
    let fixture = Fixture()
    fixture.cell.publish(try node(String(repeating: "a", count: 253), port: 65_535))
    #expect(fixture.ask().outcome == .answered(status: 307))
  }
}

/// Counts from any thread.
final class Counter: Sendable {
  private let count = Mutex(0)
  func add() { count.withLock { $0 += 1 } }
  var value: Int { count.withLock { $0 } }
}

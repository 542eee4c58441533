import HTTP1
import Redirect
import Testing

@Suite("The health document")
struct HealthTests {
  private let path = "/vault-redirector-health"

  @Test("200 with the seed's keys while the active node is known")
  func healthy() throws {
    let fixture = Fixture()
    fixture.cell.publish(try node("vault-a"))
    var status = DiscoveryStatus(source: .consul, state: .current)
    status.lastSuccess = fixture.clock.source.now()
    status.nodes = [NodeReport(name: "vault-a", address: "vault-a:8200", state: "active")]
    fixture.cell.report(status)
    fixture.clock.advance(by: .seconds(7))
    let answer = fixture.ask(.init(target: path))
    #expect(answer.outcome == .answered(status: 200))
    let body = try #require(answer.text.split(separator: "\r\n\r\n").last)
    #expect(
      body == """
        {"healthy":true,"application":"vault-redirector","version":"1.2.3",\
        "source":"https://example.com/source","consul_host_port":"127.0.0.1:8500",\
        "active_vault":"vault-a:8200","last_consul_poll":"2026-11-21T22:49:37Z",\
        "since":"2026-11-21T22:49:37Z","discovery":{"source":"consul","state":"current",\
        "age_seconds":7,"last_error":null,"nodes":[{"name":"vault-a","address":"vault-a:8200",\
        "state":"active"}]}}
        """)
    #expect(answer.text.contains("\r\nContent-Length: \(body.utf8.count)\r\n"))
  }

  @Test("503 and nulls while none is known, whatever the query string")
  func unhealthy() {
    let fixture = Fixture(source: .probe)
    let answer = fixture.ask(.init(target: path + "?verbose=1"))
    #expect(answer.outcome == .answered(status: 503))
    for part in [
      #""healthy":false"#, #""consul_host_port":null"#, #""active_vault":null"#,
      #""last_consul_poll":null"#, #""since":null"#, #""state":"starting","age_seconds":null"#,
    ] {
      #expect(answer.text.contains(part))
    }
  }

  @Test("HEAD has no body; a health request is never held, other methods get 405")
  func methods() {
    let fixture = Fixture()
    let head = fixture.ask(.init(method: .head, target: path, mayHold: true))
    #expect(head.outcome == .answered(status: 503))
    #expect(head.text.hasSuffix("\r\n\r\n"))
    let post = fixture.ask(.init(method: .post, target: path, mayHold: true))
    #expect(post.outcome == .answered(status: 405))
    #expect(post.text.contains("\r\nAllow: GET, HEAD\r\n"))
  }

  @Test(
    "Only the path itself is health",
    arguments: [
      "/vault-redirector-healthy", "/vault-redirector-healt", "//vault-redirector-health",
    ])
  func otherPaths(target: String) throws {
    let fixture = Fixture()
    fixture.cell.publish(try node("a"))
    #expect(fixture.ask(.init(target: target)).outcome == .answered(status: 307))
  }

  @Test("Health outlives an election by the grace, and not a start without a node")
  func grace() throws {
    let fixture = Fixture(grace: .seconds(15))
    let asked = Fixture.Asked(target: path)
    fixture.cell.publish(nil)
    #expect(fixture.ask(asked).outcome == .answered(status: 503))
    fixture.cell.publish(try node("a"))
    fixture.cell.publish(nil)
    fixture.clock.advance(by: .seconds(14))
    let inGrace = fixture.ask(asked)
    #expect(inGrace.outcome == .answered(status: 200))
    #expect(inGrace.text.contains(#""active_vault":null"#))
    #expect(inGrace.text.contains(#""in_grace":true"#))
    fixture.clock.advance(by: .seconds(1))
    #expect(fixture.ask(asked).outcome == .answered(status: 503))
  }

  @Test("Hostile names are escaped, and too many nodes left out, so that the answer always fits")
  func hostile() {
    let fixture = Fixture()
    let hostile = String(repeating: "\u{1}\"\\", count: 400)
    var status = DiscoveryStatus(source: .consul, state: .silent, lastError: hostile)
    status.nodes = (0..<200).map { _ in
      NodeReport(name: hostile, address: "a:1", state: "standby")
    }
    fixture.cell.report(status)
    let answer = fixture.ask(.init(target: path))
    #expect(answer.outcome == .answered(status: 503))
    #expect(answer.text.utf8.count < fixture.responder.responseBytesMax)
    #expect(answer.text.contains(#"\u0001\"\\"#))
    #expect(answer.text.contains(#""nodes_left_out":"#))
    #expect(!answer.text.dropFirst(400).utf8.contains(1))
  }

  @Test(
    "Health ends when nothing has confirmed for its time what is known, and redirects go on",
    arguments: [DiscoveryStatus.State.silent, .expired, .current])
  func stale(state: DiscoveryStatus.State) throws {
    let fixture = Fixture(stale: .seconds(30))
    fixture.cell.publish(try node("a"))
    var status = DiscoveryStatus(source: .consul, state: state)
    status.lastKnown = fixture.clock.source.now()
    fixture.cell.report(status)
    let asked = Fixture.Asked(target: path)
    fixture.clock.advance(by: .seconds(29))
    #expect(fixture.ask(asked).outcome == .answered(status: 200))
    fixture.clock.advance(by: .seconds(1))
    let answer = fixture.ask(asked)
    #expect(answer.outcome == .answered(status: state == .current ? 200 : 503))
    #expect(answer.text.contains(#""stale":true"#) == (state != .current))
    #expect(fixture.ask(.init(target: "/v1/x")).outcome == .answered(status: 307))
    status.lastKnown = fixture.clock.source.now()
    fixture.cell.report(status)
    #expect(fixture.ask(asked).outcome == .answered(status: 200))
  }

  @Test("Why a node is not taken stands beside it")
  func reasons() throws {
    let fixture = Fixture()
    var status = DiscoveryStatus(source: .consul, state: .current)
    status.nodes = [
      NodeReport(name: "a", address: "a:1", state: "unreachable", reason: "it \"hangs\"")
    ]
    fixture.cell.report(status)
    #expect(
      fixture.ask(.init(target: path)).text.contains(
        #""state":"unreachable","reason":"it \"hangs\""}]"#))
  }
}

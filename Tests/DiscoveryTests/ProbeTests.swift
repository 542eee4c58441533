@testable import Discovery
import Redirect
import Testing

@Suite("Asking the nodes themselves")
struct ProbeTests {
  private static let a = "https://a:8200"
  private static let b = "https://b:8200"

  @Test(
    "Statuses of sys/health",
    arguments: [
      (200, "active", .affirms), (429, "standby", .denies), (472, "dr-secondary", .denies),
      (473, "performance-standby", .denies), (474, "standby-without-active", .denies),
      (501, "uninitialized", .denies), (503, "sealed", .denies), (530, "removed", .denies),
      (404, "unexpected", .unclear), (500, "unexpected", .unclear), (301, "unexpected", .unclear),
      (0, "unexpected", .unclear),
    ] as [(Int, String, VaultState.Bearing)])
  func states(status: Int, name: String, bearing: VaultState.Bearing) {
    let state = VaultState(vaultAnswer(status))
    #expect(state.name == name)
    #expect(state.bearing == bearing)
    // The same status without Vault's words is anybody's.
    #expect(VaultState(OutboundAnswer(status: status)) == .unexpected(status))
  }

  @Test(
    "A status that the body does not agree with, or a body that is not Vault's, is no word of Vault's",
    arguments: [
      (200, #"{"initialized":true,"sealed":false,"standby":true}"#),
      (200, #"{"initialized":true,"sealed":true,"standby":false}"#),
      (200, #"{"initialized":false,"sealed":false,"standby":false}"#),
      (200, #"{"initialized":true,"sealed":false}"#),
      (200, #"{"initialized":"true","sealed":"false","standby":"false"}"#), (200, "{}"),
      (200, "[]"),
      (200, "<!DOCTYPE html><title>Welcome</title>"), (200, #"{"initialized":true,"sealed":fal"#),
      (429, #"{"initialized":true,"sealed":false,"standby":false}"#), (429, "slow down"),
      (503, #"{"initialized":true,"sealed":false,"standby":true}"#),
      (503, "no server is available"),
      (501, #"{"initialized":true,"sealed":false,"standby":true}"#), (530, "<html>"),
    ])
  func lies(status: Int, body: String) {
    var answer = OutboundAnswer(status: status)
    answer.body = Array(body.utf8)
    #expect(VaultState(answer) == .unexpected(status))
    answer.body = Array(String(repeating: #"{"a":"#, count: 10_000).utf8)
    #expect(VaultState(answer) == .unexpected(status))
  }

  @Test(
    "Every node is asked at the start, and the first 200 is served before the rest has answered")
  func start() throws {
    let fixture = try MachineFixture.probes(["a", "b", "c"])
    let asked = fixture.due()
    #expect(asked.map(\.request.url) == ["a", "b", "c"].map { "https://\($0):8200/v1/sys/health" })
    #expect(fixture.due().isEmpty)
    fixture.probe(0, 429)
    #expect(fixture.node == nil)
    fixture.probe(2, 200)
    #expect(fixture.node == "https://c:8200")
  }

  /// A node is not asked again sooner.
  private static let shortestPause = Duration.milliseconds(25)

  /// A watch of two nodes of which the first is active, two seconds later, both asked, their answers on the way.
  private func fixture() throws -> MachineFixture {
    let fixture = try MachineFixture.probes(["a", "b"])
    fixture.probes(["a": 200, "b": 429])
    #expect(fixture.node == Self.a)
    fixture.clock.advance(by: .seconds(2))
    #expect(fixture.due().count == 2)
    fixture.clock.advance(by: Self.shortestPause)
    return fixture
  }

  @Test("An active node that says it is none is gone at once", arguments: [429, 503, 530, 501])
  func gone(status: Int) throws {
    let fixture = try fixture()
    fixture.probe(0, status)
    #expect(fixture.node == nil)
    #expect(fixture.status.state == .current)
  }

  @Test(
    "So is one whose connection is refused or reset",
    arguments: [.refused, .reset] as [OutboundFailure.Kind])
  func refused(kind: OutboundFailure.Kind) throws {
    let fixture = try fixture()
    fixture.machine.take(
      .failure(OutboundFailure(kind: kind, reason: "it is")),
      to: fixture.health(of: 0), now: fixture.clock.now)
    #expect(fixture.node == nil)
  }

  @Test(
    "Its silence is no fact until a second one, a standby that has lost it, or another's 200",
    arguments: [(429, nil), (474, nil), (200, "https://b:8200"), (503, nil)] as [(Int, String?)])
  func silence(other: Int, expected: String?) throws {
    let fixture = try fixture()
    fixture.probe(1, 429)
    fixture.probe(0, nil)
    #expect(fixture.node == Self.a)
    #expect(fixture.due().map(\.request.host) == ["b"])
    fixture.probe(1, other)
    #expect(fixture.node == (other == 429 || other == 503 ? Self.a : expected))
    fixture.clock.advance(by: .seconds(2))
    _ = fixture.due()
    fixture.probe(0, nil)
    #expect(fixture.node == expected)
  }

  @Test(
    "What is not Vault's answer is ignorance: who was active stays, and nobody else is adopted for it"
  )
  func unclear() throws {
    let fixture = try fixture()
    for _ in 0..<10 {
      fixture.probe(0, 500)
      fixture.probe(1, 429)
      #expect(fixture.node == Self.a)
      fixture.clock.advance(by: .seconds(1))
      _ = fixture.due()
    }
    fixture.probe(1, 200)
    #expect(fixture.node == Self.b)
  }

  @Test(
    "An active node that is late yields to another that says 200, and to nobody else",
    arguments: [429, 200] as [Int?])
  func late(status: Int?) throws {
    let fixture = try MachineFixture.probes(["a", "b"])
    _ = fixture.due()
    fixture.probe(0, 200)
    fixture.probe(1, 429)
    fixture.clock.advance(by: .seconds(2))
    #expect(fixture.due().count == 2)
    fixture.probe(1, 429)
    #expect(fixture.machine.nextAt == fixture.clock.now.monotonic + .milliseconds(250))
    fixture.clock.advance(by: .milliseconds(250))
    #expect(fixture.due().map(\.request.host) == ["b"])
    fixture.probe(1, 429)
    #expect(fixture.node == Self.a)
    fixture.clock.advance(by: .milliseconds(50))
    #expect(fixture.due().map(\.request.host) == ["b"])
    fixture.probe(1, 200)
    #expect(fixture.node == Self.b)
    // It answers after all: if it claims to be active as well, both are asked since when.
    fixture.probe(0, status)
    #expect(fixture.node == Self.b)
    let asked = fixture.due().filter { $0.request.path == "/v1/sys/leader" }
    #expect(asked.count == (status == 200 ? 2 : 0))
  }

  @Test("When nobody answers the last node stays, until the stale limit")
  func blind() throws {
    let fixture = try MachineFixture.probes(["a", "b"], staleLimit: .seconds(60))
    _ = fixture.due()
    fixture.probe(0, 200)
    fixture.probe(1, 429)
    fixture.clock.advance(by: .seconds(2))
    _ = fixture.due()
    fixture.probe(1, nil)
    fixture.probe(0, 502)
    #expect(fixture.node == Self.a)
    #expect(fixture.status.state == .silent)
    #expect(
      fixture.status.lastError
        == "a:8200 status 502, which is not Vault's answer; b:8200 unreachable: timed out")
    fixture.clock.advance(by: .seconds(58))
    _ = fixture.due()
    #expect(fixture.node == nil)
    #expect(fixture.status.state == .expired)
  }

  /// Between two questions to a node, in milliseconds, over so much time, while every answer comes at once.
  private func pauses(
    of host: String, in fixture: MachineFixture, for time: Duration, _ states: [String: Int]
  ) throws -> Set<Int> {
    var pauses: Set<Int> = []
    var last: Duration?
    let end = fixture.clock.now.monotonic + time
    while fixture.clock.now.monotonic < end {
      for (question, request) in fixture.due() {
        if request.host == host {
          if let last { pauses.insert((fixture.clock.now.monotonic - last).wholeMilliseconds) }
          last = fixture.clock.now.monotonic
        }
        fixture.machine.take(
          .success(vaultAnswer(states[request.host] ?? 429)), to: question, now: fixture.clock.now)
      }
      let next = try #require(fixture.machine.nextAt)
      fixture.clock.advance(by: max(.milliseconds(1), next - fixture.clock.now.monotonic))
    }
    return pauses
  }

  @Test(
    "The active node is asked every 100 ms and the others each interval; without one all are, every 50 ms for 20 s, then every 250 ms"
  )
  func pace() throws {
    let fixture = try MachineFixture.probes(["a", "b"])
    fixture.probes(["a": 200, "b": 429])
    _ = try pauses(of: "b", in: fixture, for: .seconds(1), ["a": 200])
    #expect(try pauses(of: "a", in: fixture, for: .seconds(10), ["a": 200]) == [100])
    #expect(try pauses(of: "b", in: fixture, for: .seconds(10), ["a": 200]) == [1000])
    // It denies: the first look at it is enough to have everybody asked.
    _ = try pauses(of: "a", in: fixture, for: .milliseconds(200), [:])
    #expect(fixture.node == nil)
    #expect(try pauses(of: "b", in: fixture, for: .milliseconds(19_500), [:]) == [50])
    _ = try pauses(of: "b", in: fixture, for: .seconds(1), [:])
    #expect(try pauses(of: "b", in: fixture, for: .seconds(10), [:]) == [250])
  }

  @Test(
    "Many nodes are asked less often, so that all of them together are asked 200 times a second at most"
  )
  func manyNodes() throws {
    let hosts = (0..<64).map { "n\($0)" }
    let fixture = try MachineFixture.probes(hosts)
    _ = try pauses(of: "n0", in: fixture, for: .milliseconds(500), [:])
    #expect(try pauses(of: "n0", in: fixture, for: .seconds(2), [:]) == [320])
  }

  @Test(
    "Nodes whose answers change each time do not have each other asked without a pause",
    arguments: [[429, 503], [200, 429]])
  func wavering(statuses: [Int]) throws {
    let fixture = try MachineFixture.probes(["a", "b", "c"])
    var count: [Question: Int] = [:]
    for _ in 0..<1000 {
      let due = fixture.due()
      for (question, _) in due {
        count[question, default: 0] += 1
        let answer = vaultAnswer(statuses[count[question, default: 0] % 2])
        fixture.machine.take(.success(answer), to: question, now: fixture.clock.now)
      }
      // Nor does the thread go round and round until then.
      if due.isEmpty {
        #expect(try #require(fixture.machine.nextAt) > fixture.clock.now.monotonic)
      }
      fixture.clock.advance(by: .milliseconds(1))
    }
    // One each 25 ms.
    #expect(count.values.allSatisfy { $0 <= 40 })
    #expect(count.values.contains { $0 > 25 })
  }

  @Test("Nodes that change all the time are logged once a second, and the log says so")
  func flood() throws {
    let fixture = try MachineFixture.probes(["a", "b", "c"])
    var count: [Question: Int] = [:]
    func change(for time: Duration) {
      let end = fixture.clock.now.monotonic + time
      while fixture.clock.now.monotonic < end {
        for (question, _) in fixture.due() {
          count[question, default: 0] += 1
          let answer = vaultAnswer([200, 429][count[question, default: 0] % 2])
          fixture.machine.take(.success(answer), to: question, now: fixture.clock.now)
        }
        fixture.clock.advance(by: .milliseconds(25))
      }
    }
    func lines() -> [String] { fixture.logged.lines.filter { !$0.hasPrefix("debug") } }
    change(for: .seconds(60))
    let notice =
      "warning nodes change more often than is logged, health and metrics say how things are"
    #expect(lines().count { $0 == notice } == 1)
    #expect((PacedLog.linesAtOnce + 50...PacedLog.linesAtOnce + 62).contains(lines().count))
    #expect(try #require(lines().last).contains(" left_out="))
    // It has been calm for long enough: every change is worth a line again.
    fixture.probes(["a": 200, "b": 429, "c": 429])
    fixture.clock.advance(by: .seconds(PacedLog.linesAtOnce + 1))
    let before = lines().count
    fixture.probes(["a": 503, "b": 200, "c": 429])
    #expect(lines().count >= before + 3)
    #expect(lines()[before].contains(" left_out="))
    #expect(!lines()[(before + 1)...].contains { $0.contains("left_out") })
    change(for: .seconds(60))
    #expect(lines().count { $0 == notice } == 2)
  }

  @Test(
    "Another's changed answer, and a connection that ends, have everybody asked at once, 25 ms after its last time"
  )
  func atOnce() throws {
    let fixture = try fixture()
    fixture.probe(0, 200)
    fixture.probe(1, 503)
    #expect(Set(fixture.due().map(\.request.host)) == ["a"])
    fixture.probe(0, 200)
    #expect(fixture.due().isEmpty)
    fixture.clock.advance(by: Self.shortestPause)
    let question = fixture.health(of: 0)
    fixture.machine.connectionEnded(question, now: fixture.clock.now)
    #expect(Set(fixture.due().map(\.request.host)) == ["a", "b"])
    // Whoever ends each connection is asked for it once a second, not round and round.
    fixture.probe(0, 200)
    fixture.probe(1, 503)
    fixture.machine.connectionEnded(question, now: fixture.clock.now)
    #expect(fixture.due().isEmpty)
  }

  @Test(
    "Of two that answer 200 the later active_time wins; without it the incumbent stays",
    arguments: [
      ("2026-11-21T22:49:37.5Z", "2026-11-21T22:49:37.25Z", "https://a:8200"),
      ("2026-11-21T22:49:37.5Z", "2026-11-21T22:49:37.75Z", "https://b:8200"),
      ("2026-11-21T22:49:37Z", "2026-11-22T00:49:37+02:00", "https://a:8200"),
      ("2026-11-21T22:49:37Z", "2026-11-22T00:49:38+02:00", "https://b:8200"),
      (nil, "2026-11-21T22:49:37Z", "https://a:8200"), (nil, nil, "https://a:8200"),
      ("nonsense", "2026-11-21T22:49:37Z", "https://b:8200"),
    ] as [(String?, String?, String)])
  func split(timeOfA: String?, timeOfB: String?, expected: String) throws {
    let fixture = try MachineFixture.probes(["a", "b"])
    _ = fixture.due()
    fixture.clock.advance(by: Self.shortestPause)
    fixture.probe(0, 200)
    fixture.probe(1, 200)
    #expect(fixture.node == Self.a)
    let asked = fixture.due()
    #expect(
      Set(asked.map(\.question)) == [
        fixture.health(of: 0), .probe(.activeTime(fixture.endpoint(of: 0))),
        .probe(.activeTime(fixture.endpoint(of: 1))),
      ])
    for (index, time) in [timeOfA, timeOfB].enumerated() {
      var answer = OutboundAnswer(status: 200)
      let member = time.map { #","active_time":"\#($0)""# } ?? ""
      answer.body = Array(#"{"ha_enabled":true,"is_self":true\#(member)}"#.utf8)
      fixture.machine.take(
        .success(answer), to: .probe(.activeTime(fixture.endpoint(of: index))),
        now: fixture.clock.now)
    }
    #expect(fixture.node == expected)
    // The older word is corrected: the split is over.
    fixture.probe(0, 429)
    #expect(fixture.node == Self.b)
  }

  @Test(
    "While two say that they are active, one that is elected anew between two probes is noticed")
  func electedAnew() throws {
    let fixture = try MachineFixture.probes(["a", "b"])
    var times = ["a": "2026-11-21T22:49:37Z", "b": "2026-11-21T22:49:38Z"]
    func answer(for time: Duration) {
      let end = fixture.clock.now.monotonic + time
      while fixture.clock.now.monotonic < end {
        for (question, request) in fixture.due() {
          var answer = vaultAnswer(200)
          if case .probe(.activeTime) = question {
            let time = times[request.host] ?? ""
            answer.body = Array(#"{"is_self":true,"active_time":"\#(time)"}"#.utf8)
          }
          fixture.machine.take(.success(answer), to: question, now: fixture.clock.now)
        }
        fixture.clock.advance(by: .milliseconds(5))
      }
    }
    answer(for: .seconds(1))
    #expect(fixture.node == Self.b)
    times["a"] = "2026-11-21T22:49:40Z"
    answer(for: .seconds(1))
    #expect(fixture.node == Self.a)
  }

  @Test(
    "Who does not speak for itself names no time",
    arguments: [
      (200, #"{"is_self":false,"active_time":"2026-11-21T22:49:37Z"}"#),
      (503, #"{"is_self":true,"active_time":"2026-11-21T22:49:37Z"}"#), (200, "[]"), (200, ""),
      (200, #"{"is_self":true}"#), (200, #"{"is_self":"true","active_time":1}"#),
    ])
  func leader(status: Int, body: String) {
    var answer = OutboundAnswer(status: status)
    answer.body = Array(body.utf8)
    #expect(LeaderAnswer.activeTime(answer) == nil)
  }
}

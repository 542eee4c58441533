@testable import Discovery
import Redirect
import Testing

@Suite("When to ask, and with which index")
struct PacingTests {
  @Test(
    "The index of the next query",
    arguments: [
      (["7"], 7, true), (["7", "9"], 9, true), (["7", "7"], 7, true), (["0"], 1, true),
      (["9", "7"], nil, true), (["9", "7", "8"], 8, true), ([nil], nil, false),
      (["7", nil], nil, false), (["x"], nil, false), (["-1"], nil, false), (["+1"], nil, false),
      ([""], nil, false), (["18446744073709551615"], UInt64.max, true),
      (["18446744073709551616"], nil, false), (["1.5"], nil, false),
    ] as [([String?], UInt64?, Bool)])
  func index(fields: [String?], expected: UInt64?, canBlock: Bool) {
    var query = BlockingQuery()
    var last = true
    for field in fields { last = query.receive(field) }
    #expect(query.index == expected)
    #expect(last == canBlock)
  }

  @Test(
    "Back-off: at once, then up to 250 ms, doubled to 15 s, for ever, and afresh after a success")
  func backoff() {
    var backoff = Backoff()
    let waits = (0..<10).map { _ in backoff.fail(random: 1).wholeMilliseconds }
    #expect(waits == [0, 250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000])
    for _ in 0..<1000 { #expect(backoff.fail(random: 0.5) == .milliseconds(7500)) }
    #expect(backoff.fail(random: 0) == .zero)
    backoff.succeed()
    #expect(backoff.fail(random: 1) == .zero)
  }

  @Test("A bucket lets its capacity through at once, then one each refill")
  func bucket() {
    var bucket = TokenBucket(capacity: 3, refill: .seconds(1))
    let start = Duration.seconds(100)
    for _ in 0..<3 { #expect(bucket.take(now: start) == nil) }
    #expect(bucket.take(now: start) == .seconds(101))
    #expect(bucket.take(now: .seconds(101)) == nil)
    #expect(bucket.take(now: .milliseconds(101_500)) == .seconds(102))
    for _ in 0..<3 { #expect(bucket.take(now: .seconds(200)) == nil) }
    #expect(bucket.take(now: .seconds(200)) != nil)
  }

  @Test("A server that never blocks is asked once a second, not more")
  func busyServer() throws {
    let fixture = try MachineFixture.consul()
    let before = fixture.clock.now.monotonic
    for _ in 0..<76 { try fixture.consul(consulAnswer(entry("a"))) }
    #expect(fixture.clock.now.monotonic - before == .seconds(60))
  }

  @Test("Without an index that can block, the poll interval is kept", arguments: [nil, "x"])
  func poll(index: String?) throws {
    let fixture = try MachineFixture.consul(pollInterval: .milliseconds(2500))
    let before = fixture.clock.now.monotonic
    for _ in 0..<3 {
      let request = try fixture.consul(consulAnswer(entry("a"), index: index))
      #expect(request.url.hasSuffix("?stale"))
      #expect(request.timeout == .seconds(8))
    }
    #expect(fixture.clock.now.monotonic - before == .seconds(5))
  }

  @Test("A hung agent is noticed within twenty seconds, for one request in ten")
  func timeout() throws {
    let fixture = try MachineFixture.consul()
    try fixture.consul(consulAnswer(entry("a")))
    let query = try fixture.nextQuery()
    #expect(query.url.hasSuffix("&wait=10000ms"))
    #expect(query.timeout == .milliseconds(18_625))
  }

  @Test(
    "An agent on this machine that refuses is asked again within two seconds, others within fifteen",
    arguments: [
      ("127.0.0.1:8500", 2), ("localhost:8500", 2), ("[::1]:8500", 2),
      ("unix:///run/consul.sock", 2),
      ("10.0.0.1:8500", 15), ("consul.example.com:8500", 15),
    ])
  func localAgent(address: String, seconds: Int) throws {
    let access = try ConsulAccess(address: address, environment: Environment([:]))
    var watch = ConsulWatch(try ConsulSource(access: access, rules: SelectionRules()), "1")
    var now = Duration.zero
    for _ in 0..<20 {
      _ = watch.request(now: now)
      let refused = OutboundFailure(kind: .refused, reason: "refused")
      _ = watch.take(.failure(refused), now: now, random: 0.999)
      now = max(now, watch.nextAt)
    }
    let before = now
    _ = watch.request(now: now)
    _ = watch.take(
      .failure(OutboundFailure(kind: .refused, reason: "refused")), now: now, random: 0.999)
    let pause = watch.nextAt - before
    #expect(pause < .seconds(seconds) && pause > .seconds(seconds) * 0.9)
  }

  @Test(
    "While another agent answers the first is tried once a minute, and disturbs nobody where it fails"
  )
  func firstAgent() throws {
    let fixture = try MachineFixture.consul(address: "one:1,two:2")
    try fixture.consulFails()
    try fixture.consul(consulAnswer(entry("a")))
    var tried: [Duration] = []
    let start = fixture.clock.now.monotonic
    while fixture.clock.now.monotonic - start < .seconds(185) {
      let query = try fixture.nextQuery()
      let now = fixture.clock.now
      if query.host == "one" {
        tried.append(now.monotonic - start)
        #expect(query.timeout == .seconds(2))
        fixture.machine.take(
          .failure(OutboundFailure(kind: .timedOut, reason: "timed out")), to: .consul, now: now)
      } else {
        fixture.clock.advance(by: query.url.contains("index=") ? .seconds(10) : .zero)
        fixture.machine.take(
          .success(consulAnswer(entry("a"))), to: .consul, now: fixture.clock.now)
      }
      #expect(fixture.status.state == .current)
    }
    #expect(tried.count == 3)
    #expect(fixture.logged.lines(containing: "warning consul does not answer").count == 1)
    // It is back, and stays.
    while try fixture.nextQuery().host != "one" {
      fixture.clock.advance(by: .seconds(10))
      fixture.machine.take(.success(consulAnswer(entry("a"))), to: .consul, now: fixture.clock.now)
    }
    fixture.machine.take(.success(consulAnswer(entry("b"))), to: .consul, now: fixture.clock.now)
    #expect(fixture.node == "b")
    #expect(try fixture.nextQuery().host == "one")
  }

  @Test("Failures back off, and each agent of the list is tried in turn")
  func agents() throws {
    let fixture = try MachineFixture.consul(address: "one:1,two:2")
    try fixture.consul(consulAnswer(entry("a")))
    let urls = try (0..<4).map { _ in try fixture.consulFails().url }
    #expect(urls[0].hasPrefix("http://one:1/"))
    #expect(urls[1] == "http://two:2/v1/health/service/vault?stale")
    #expect(urls[2].hasPrefix("http://one:1/"))
    // Half of nothing, of 250 ms, of 500 ms: `random` is 0.5.
    #expect(fixture.clock.now.monotonic - .seconds(1000) == .milliseconds(375))
    #expect(fixture.node == "a")
    #expect(fixture.logged.lines(containing: "consul does not answer").count == 4)
    #expect(fixture.logged.lines(containing: "warning consul does not answer").count == 1)
    try fixture.consul(consulAnswer(entry("a")))
    #expect(fixture.logged.lines(containing: "consul answers again").count == 1)
  }
}

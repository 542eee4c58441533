@testable import Discovery
import Redirect
import Testing

@Suite("A Consul that is wrong or silent")
struct SilenceTests {
  @Test(
    "Ten minutes without Consul: the redirect goes on, its age is told, then it follows at once")
  func tenMinutes() throws {
    let fixture = try MachineFixture.consul(staleLimit: .zero)
    try fixture.consul(consulAnswer(entry("a")))
    let answeredAt = fixture.clock.now
    var attempts = 0
    while fixture.clock.now.monotonic - answeredAt.monotonic < .seconds(600) {
      try fixture.consulFails()
      attempts += 1
      #expect(fixture.node == "a")
      #expect(fixture.status.state == .silent)
      #expect(fixture.status.lastSuccess == answeredAt)
    }
    // Full jitter at 0.5 ends in 7.5 s between attempts: neither a flood nor a long sleep.
    #expect((80...100).contains(attempts))
    try fixture.consul(consulAnswer(entry("b")))
    #expect(fixture.node == "b")
    #expect(fixture.status.state == .current)
  }

  @Test("The stale limit ends it; the next answer counts again")
  func limit() throws {
    let fixture = try MachineFixture.consul(staleLimit: .seconds(300))
    try fixture.consul(consulAnswer(entry("a")))
    try fixture.consulFails()
    fixture.clock.advance(by: .seconds(299))
    _ = fixture.due()
    #expect(fixture.node == "a")
    fixture.clock.advance(by: .seconds(1))
    _ = fixture.due()
    #expect(fixture.node == nil)
    #expect(fixture.status.state == .expired)
    #expect(fixture.logged.lines(containing: "error silent for longer").count == 1)
    fixture.machine.take(.success(consulAnswer(entry("a"))), to: .consul, now: fixture.clock.now)
    #expect(fixture.node == "a")
  }

  @Test("Consul keeps a query for half the stale limit at most")
  func wait() throws {
    let fixture = try MachineFixture.consul(staleLimit: .seconds(8))
    try fixture.consul(consulAnswer(entry("a")))
    #expect(try fixture.nextQuery().url.hasSuffix("&wait=4000ms"))
  }

  @Test(
    "An answer of a server without a leader, or long without one, is asked for again of the leader",
    arguments: [
      ("x-consul-knownleader", "false"), ("x-consul-lastcontact", "10001"),
      ("x-consul-lastcontact", "4294967296"), ("x-consul-lastcontact", "99999999999999999999"),
      ("x-consul-lastcontact", "-1"), ("x-consul-lastcontact", "never"),
    ])
  func oldAnswer(field: String, value: String) throws {
    let fixture = try MachineFixture.consul()
    try fixture.consul(consulAnswer(entry("a")))
    var old = consulAnswer(entry("b"))
    old.fields[field] = value
    try fixture.consul(old)
    #expect(fixture.node == "a")
    let repeated = try fixture.consul(old)
    #expect(repeated.url == "http://127.0.0.1:8500/v1/health/service/vault")
    #expect(fixture.node == "b")
    #expect(try fixture.nextQuery().url.contains("?stale&index="))
  }

  @Test(
    "Without a leader the answers are old, and better than nothing: adopted where nothing is known, and no more"
  )
  func noLeader() throws {
    let fixture = try MachineFixture.consul(staleLimit: .seconds(60))
    var old = consulAnswer(entry("a"))
    old.fields["x-consul-knownleader"] = "false"
    var refusal = OutboundAnswer(status: 500)
    refusal.body = Array("No cluster leader".utf8)
    try fixture.consul(old)
    #expect(fixture.node == nil)
    try fixture.consul(refusal)
    #expect(fixture.node == "a")
    #expect(fixture.status.state == .silent)
    #expect(
      fixture.status.lastError
        == "127.0.0.1:8500: status 500: No cluster leader; an answer is used although it has no leader"
    )
    // Another one named by such an answer, or nobody, changes nothing; and it goes on for longer than the limit.
    let start = fixture.clock.now.monotonic
    while fixture.clock.now.monotonic - start < .seconds(120) {
      var other = consulAnswer(entry("b"))
      other.fields["x-consul-knownleader"] = "false"
      try fixture.consul(other)
      try fixture.consulFails()
      #expect(fixture.node == "a")
    }
    #expect(fixture.logged.lines(containing: "warning consul's answers are old").count == 1)
    // The leader is back.
    try fixture.consul(consulAnswer(entry("b")))
    #expect(fixture.node == "b")
    #expect(fixture.status.state == .current)
  }

  @Test("What a streaming agent says of its leader is not meant; a plain query in each wait is")
  func streaming() throws {
    let fixture = try MachineFixture.consul()
    var streamed = consulAnswer(entry("a"))
    streamed.fields["x-consul-query-backend"] = "streaming"
    streamed.fields["x-consul-knownleader"] = "false"
    streamed.fields["x-consul-lastcontact"] = "99999"
    try fixture.consul(consulAnswer(entry("a")))
    var isPlain: [Bool] = []
    let start = fixture.clock.now.monotonic
    while fixture.clock.now.monotonic - start < .seconds(95) {
      let query = try fixture.nextQuery()
      #expect(!query.url.hasSuffix("/vault"), "the leader is asked")
      fixture.clock.advance(by: query.url.contains("index=") ? .seconds(10) : .milliseconds(1))
      isPlain.append(!query.url.contains("index="))
      fixture.machine.take(
        .success(query.url.contains("index=") ? streamed : consulAnswer(entry("a"))), to: .consul,
        now: fixture.clock.now)
      #expect(fixture.node == "a")
    }
    #expect(isPlain == isPlain.indices.map { $0 % 2 == 1 })
    fixture.metrics.update { #expect($0.knowsLeader == nil) }
    var old = consulAnswer(entry("a"))
    old.fields["x-consul-knownleader"] = "false"
    fixture.metrics.update { #expect($0.lastContact == nil) }
    try fixture.consul(old)
    #expect(try fixture.nextQuery().url.hasSuffix("/vault"))
  }

  @Test(
    "An empty list of a catalogue that is being made again is no fact, for one wait; then it is")
  func rebuilt() throws {
    let fixture = try MachineFixture.consul()
    try fixture.consul(consulAnswer(entry("a"), index: "900"))
    let start = fixture.clock.now.monotonic
    try fixture.consul(consulAnswer("", index: "5"))
    #expect(fixture.node == "a")
    #expect(fixture.status.lastError == "no node yet: consul's catalogue is being made again")
    while fixture.clock.now.monotonic - start < .seconds(9) {
      try fixture.consul(consulAnswer("", index: "6"))
      fixture.clock.advance(by: .seconds(1))
      #expect(fixture.node == "a")
    }
    fixture.clock.advance(by: .seconds(2))
    try fixture.consul(consulAnswer("", index: "7"))
    fixture.clock.advance(by: .seconds(5))
    _ = fixture.due()
    #expect(fixture.node == nil)
  }

  @Test("An empty list of a catalogue that has only grown is a fact")
  func empty() throws {
    let fixture = try MachineFixture.consul()
    try fixture.consul(consulAnswer(entry("a"), index: "5"))
    try fixture.consul(consulAnswer("", index: "6"))
    #expect(fixture.status.state == .current)
    fixture.clock.advance(by: .seconds(5))
    _ = fixture.due()
    #expect(fixture.node == nil)
  }

  @Test("An answer that hides nodes: whom it names as active is, and without one it says nothing")
  func partlyHidden() throws {
    let fixture = try MachineFixture.consul(staleLimit: .seconds(60))
    try fixture.consul(consulAnswer(entry("a")))
    var hidden = consulAnswer(entry("b", tags: #"["standby"]"#))
    hidden.fields["x-consul-results-filtered-by-acls"] = "true"
    try fixture.consul(hidden)
    #expect(fixture.node == "a")
    #expect(fixture.status.state == .silent)
    #expect(fixture.status.lastError?.hasPrefix("consul hides nodes from this token") == true)
    var named = consulAnswer(entry("b"))
    named.fields["x-consul-results-filtered-by-acls"] = "true"
    try fixture.consul(named)
    #expect(fixture.node == "b")
    #expect(fixture.status.state == .current)
    // Nobody for longer than the limit.
    try fixture.consul(hidden)
    fixture.clock.advance(by: .seconds(61))
    _ = fixture.due()
    #expect(fixture.node == nil)
  }

  @Test("Ten seconds without contact are accepted")
  func lastContact() throws {
    let fixture = try MachineFixture.consul()
    var answer = consulAnswer(entry("a"))
    answer.fields["x-consul-lastcontact"] = "10000"
    answer.fields["x-consul-knownleader"] = "true"
    try fixture.consul(answer)
    #expect(fixture.node == "a")
  }

  @Test("A rotated token file is read when Consul refuses the old token, and tried at once")
  func rotation() throws {
    try withTemporaryFile("first\n") { path in
      let fixture = try MachineFixture.consul(environment: ["CONSUL_HTTP_TOKEN_FILE": path])
      var refused = OutboundAnswer(status: 403)
      refused.body = Array("token first is not known".utf8)
      #expect(token(try fixture.consul(consulAnswer(entry("a")))) == "first")
      try fixture.consulFails()
      try fixture.consulFails()
      try write("second\n", to: path)
      let before = try fixture.consul(refused)
      #expect(token(before) == "first")
      #expect(fixture.status.lastError == "127.0.0.1:8500: status 403: token [token] is not known")
      let refusedAt = fixture.clock.now
      #expect(token(try fixture.consul(refused)) == "second")
      #expect(fixture.clock.now == refusedAt)
      try write("", to: path)
      #expect(token(try fixture.consul(refused)) == "second")
      try write("third", to: path)
      fixture.machine.reload(now: fixture.clock.now)
      #expect(token(try fixture.nextQuery()) == "third")
    }
  }

  private func token(_ request: OutboundRequest) -> String? {
    request.fields.first { $0.name == "X-Consul-Token" }?.value
  }

  @Test(
    "Consul's own Retry-After is kept, up to the longest back-off", arguments: [(9, 9), (3600, 15)])
  func retryAfter(asked: Int, seconds: Int) throws {
    let fixture = try MachineFixture.consul()
    var answer = OutboundAnswer(status: 429)
    answer.fields["retry-after"] = "\(asked)"
    try fixture.consul(answer)
    let before = fixture.clock.now.monotonic
    _ = try fixture.nextQuery()
    #expect(fixture.clock.now.monotonic - before == .seconds(seconds))
  }

  @Test("The scope goes with every query, encoded")
  func scope() throws {
    let access = try ConsulAccess(
      address: "a:1", datacenter: "dc 1", namespace: "n&s", environment: Environment([:]))
    let source = try ConsulSource(access: access, service: "va/ült", rules: SelectionRules())
    var watch = ConsulWatch(source, "1")
    let url = watch.request(now: .zero)?.url
    #expect(url == "http://a:1/v1/health/service/va%2F%C3%BClt?stale&dc=dc%201&ns=n%26s")
  }

  @Test("A server name is asked for in TLS, while the connection goes to the address")
  func serverName() throws {
    let access = try ConsulAccess(
      address: "https://10.0.0.1:8501",
      environment: Environment(["CONSUL_TLS_SERVER_NAME": "server.dc1.consul"]))
    var watch = ConsulWatch(try ConsulSource(access: access, rules: SelectionRules()), "1")
    let request = watch.request(now: .zero)
    #expect(request?.serverName == "server.dc1.consul")
    #expect(request?.urlByServerName.hasPrefix("https://server.dc1.consul:8501/v1/") == true)
    #expect(request?.authority == "10.0.0.1:8501")
  }
}

@testable import Discovery
import Redirect
import Synchronization
import Sys
import Testing

@Suite("The watcher against a server", .timeLimit(.minutes(5)))
struct LiveTests {
  private static let first = StandIn.Reply.consul(entry("vault-a"), index: 7)

  @Test("Blocking queries follow on one connection, with the token and our name")
  func follows() async throws {
    let server = try StandIn([
      Self.first, .consul(entry("vault-b"), index: 9), .consul("", index: 11),
    ])
    let fixture = try LiveFixture.consul(
      [server.authority], environment: ["CONSUL_HTTP_TOKEN": "s.secret"])
    try fixture.watcher.start()
    #expect(await fixture.nextChange() == "vault-a:8200")
    #expect(await fixture.nextChange() == "vault-b:8200")
    #expect(await fixture.nextChange() == nil)
    fixture.watcher.stop()
    #expect(server.connections == 1)
    let heads = server.heads
    #expect(heads[0].hasPrefix("GET /v1/health/service/vault?stale HTTP/1.1\r\n"))
    #expect(heads[1].hasPrefix("GET /v1/health/service/vault?stale&index=7&wait=60000ms "))
    for head in heads {
      #expect(head.contains("\r\nX-Consul-Token: s.secret\r\n"))
      #expect(head.contains("\r\nUser-Agent: vault-redirector/1.2.3\r\n"))
      #expect(!head.lowercased().contains("accept-encoding"))
    }
    #expect(fixture.logged.lines(containing: "secret").isEmpty)
  }

  /// By name, for a test's arguments are printed, and 50 MiB take their time.
  static let broken: [String: StandIn.Reply] = [
    "reset before an answer": .reset(after: []),
    "reset in the body": .reset(after: text("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[")),
    "ended in the body": .end(after: text("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[")),
    "ended in a chunk": .end(
      after: text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n[")),
    "not HTTP": .end(after: text("SSH-2.0-OpenSSH\r\n")),
    "50 MiB promised": .bytes(text("HTTP/1.1 200 OK\r\nContent-Length: 52428800\r\n\r\n[")),
    "50 MiB sent": .end(
      after: text("HTTP/1.1 200 OK\r\n\r\n") + [UInt8](repeating: 0x20, count: 50 << 20)),
    "a head of 1 MiB": .end(
      after: text("HTTP/1.1 200 OK\r\nX: ") + [UInt8](repeating: 0x61, count: 1 << 20)),
    "10,000 deep": .answer(200, body: [UInt8](repeating: UInt8(ascii: "["), count: 10_000)),
    "gzip": .answer(200, ["Content-Encoding: gzip"], body: [0x1f, 0x8b, 8, 0]),
    "a redirect": .answer(302, ["Location: http://127.0.0.1:1/"], body: []),
    "a redirect to a file": .answer(301, ["Location: file:///etc/passwd"], body: []),
    "HTML": .answer(200, ["X-Consul-Index: 9"], body: text("<html>")),
    "an object": .answer(200, ["X-Consul-Index: 9"], body: text("{}")),
    "500": .answer(500, body: text("No cluster leader")),
    "no content": .answer(204, body: []),
  ]

  private static func text(_ text: String) -> [UInt8] { Array(text.utf8) }

  @Test(
    "What is not an answer keeps the last node, and the next answer counts",
    arguments: broken.keys.sorted())
  func survives(name: String) async throws {
    let reply = try #require(Self.broken[name])
    // libcurl itself repeats a request once when a kept connection turns out dead: hence twice.
    let server = try StandIn([Self.first, reply, reply, .consul(entry("vault-b"), index: 12)])
    let fixture = try LiveFixture.consul([server.authority])
    try fixture.watcher.start()
    #expect(await fixture.nextChange() == "vault-a:8200")
    #expect(await fixture.nextChange() == "vault-b:8200")
    fixture.watcher.stop()
    #expect(fixture.logged.lines(containing: "warning consul does not answer").count == 1)
    #expect(fixture.logged.lines(containing: "kept=http://vault-a:8200").count == 1)
    #expect(fixture.logged.lines(containing: "warning consul answers again").count == 1)
  }

  @Test("Stopping does not wait for the query that Consul keeps")
  func stop() async throws {
    let server = try StandIn([Self.first])
    let fixture = try LiveFixture.consul([server.authority], wait: .seconds(600))
    try fixture.watcher.start()
    #expect(await fixture.nextChange() == "vault-a:8200")
    await server.reached(requests: 2)
    fixture.watcher.stop()
    #expect(fixture.cell.load().node != nil)
  }

  @Test("A refused connection moves on to the next address")
  func nextAddress() async throws {
    let server = try StandIn([Self.first])
    let fixture = try LiveFixture.consul(["127.0.0.1:1", server.authority])
    try fixture.watcher.start()
    #expect(await fixture.nextChange() == "vault-a:8200")
    fixture.watcher.stop()
  }

  @Test("A reload asks again at once, in the place of the query that hangs")
  func reload() async throws {
    let server = try StandIn([Self.first, .hang, .consul(entry("vault-b"), index: 8)])
    let fixture = try LiveFixture.consul([server.authority])
    try fixture.watcher.start()
    #expect(await fixture.nextChange() == "vault-a:8200")
    await server.reached(requests: 2)
    fixture.watcher.reload()
    #expect(await fixture.nextChange() == "vault-b:8200")
    fixture.watcher.stop()
  }

  /// What this machine is called, and how often somebody asked.
  private final class Hosts: Sendable {
    let names = Mutex<Set<String>>([])
    let asked = Atomic(0)

    var found: LocalHosts {
      asked.add(1, ordering: .relaxed)
      return LocalHosts(names: names.withLock { $0 }, failure: nil)
    }
  }

  @Test("What this machine is called is looked at again each minute")
  func hosts() async throws {
    let server = try StandIn([], last: Self.first)
    let source = try ConsulSource(
      access: try ConsulAccess(address: server.authority, environment: Environment([:])),
      rules: SelectionRules(), pollInterval: .milliseconds(1))
    let listener = try #require(SocketAddress(numeric: "0.0.0.0", port: 8200))
    let (clock, hosts) = (ManualClock(), Hosts())
    let fixture = LiveFixture(
      DiscoveryConfiguration(
        source: .consul(source), targets: TargetGuard(listeners: [listener]), version: "1.2.3"),
      time: clock.source, findHosts: { hosts.found })
    try fixture.watcher.start()
    #expect(await fixture.nextChange() == "vault-a:8200")
    await server.reached(requests: 2)
    #expect(hosts.asked.load(ordering: .relaxed) == 1)
    hosts.names.withLock { $0 = ["vault-a"] }
    clock.advance(by: .seconds(60))
    #expect(await fixture.nextChange() == nil)
    #expect(hosts.asked.load(ordering: .relaxed) == 2)
    fixture.watcher.stop()
  }

  @Test("Probes: one node hangs, one resets, one refuses: the active one is found")
  func probes() async throws {
    let hung = try StandIn([.hang, .hang, .hang])
    let resetting = try StandIn([.reset(after: []), .reset(after: []), .reset(after: [])])
    let active = try StandIn([.vault(200)])
    let addresses = try [hung.authority, resetting.authority, "127.0.0.1:1", active.authority]
      .map { try VaultAddress("http://\($0)") }
    let source = try ProbeSource(
      addresses: addresses, security: OutboundSecurity(), interval: .seconds(60),
      timeout: .seconds(50))
    let fixture = LiveFixture(DiscoveryConfiguration(source: .vault(source), version: "1.2.3"))
    try fixture.watcher.start()
    #expect(await fixture.nextChange() == active.authority)
    fixture.watcher.stop()
    #expect(active.heads[0].hasPrefix("GET /v1/sys/health HTTP/1.1\r\n"))
  }

  @Test("Probes keep one connection to each node, however many there are")
  func keepAlive() async throws {
    let standby = StandIn.Reply.vault(429)
    let active = StandIn.Reply.vault(200)
    var nodes = try (0..<7).map { _ in try StandIn([], last: standby) }
    nodes.append(try StandIn(Array(repeating: standby, count: 5), last: active))
    let source = try ProbeSource(
      addresses: try nodes.map { try VaultAddress("http://\($0.authority)") },
      security: OutboundSecurity(), interval: .milliseconds(20),
      timeout: .seconds(50))
    let fixture = LiveFixture(DiscoveryConfiguration(source: .vault(source), version: "1.2.3"))
    try fixture.watcher.start()
    #expect(await fixture.nextChange() == nil)
    #expect(await fixture.nextChange() == nodes[7].authority)
    fixture.watcher.stop()
    #expect(nodes.map(\.connections) == Array(repeating: 1, count: 8))
  }

  @Test(
    "How a node does not answer: refused and reset are told from silence, and from what is no answer"
  )
  func failures() throws {
    let closing = try StandIn([.end(after: []), .end(after: [])])
    let resetting = try StandIn([.reset(after: []), .reset(after: [])])
    let babbling = try StandIn([.end(after: Array("SSH-2.0\r\n".utf8))])
    let hung = try StandIn([.hang])
    let asked: [(String, UInt16, String?, OutboundFailure.Kind)] = [
      ("127.0.0.1", 1, nil, .refused), ("127.0.0.1", closing.port, nil, .reset),
      ("127.0.0.1", resetting.port, nil, .reset), ("127.0.0.1", babbling.port, nil, .broken),
      ("127.0.0.1", hung.port, nil, .timedOut), ("no-such-name.invalid", 1, nil, .unresolved),
      ("localhost", 1, "/no/such.sock", .refused),
    ]
    for (host, port, socket, expected) in asked {
      let loop = TransferLoop()
      var request = OutboundRequest(
        usesTLS: false, host: host, port: port, path: "/", timeout: .seconds(2),
        connectTimeout: .seconds(2), bodyBytesMax: 100, security: OutboundSecurity())
      request.unixSocket = socket
      let result = ask(loop, request)
      guard case .failure(let failure) = result else {
        Issue.record("\(host):\(port) has answered")
        continue
      }
      #expect(failure.kind == expected, "\(failure.reason)")
    }
  }

  private func ask(
    _ loop: TransferLoop, _ request: OutboundRequest
  ) -> Result<OutboundAnswer, OutboundFailure>? {
    loop.start(request, for: .consul)
    for _ in 0..<1000 {
      if let first = loop.turn(timeout: .seconds(60)).finished.first { return first.result }
    }
    return nil
  }

  @Test(
    "The end of a connection that was left open is told once; without connections nobody is watched"
  )
  func connectionEnds() throws {
    let node = try StandIn([], last: .vault(200))
    let loop = TransferLoop()
    var request = OutboundRequest(
      usesTLS: false, host: "127.0.0.1", port: node.port, path: "/", timeout: .seconds(30),
      connectTimeout: .seconds(30), bodyBytesMax: 1000, security: OutboundSecurity())
    request.watchesConnection = true
    _ = try #require(ask(loop, request)).get()
    node.closeConnections()
    var events = TransferLoop.Events()
    for _ in 0..<1000 where events.isEmpty { events = loop.turn(timeout: .seconds(60)) }
    #expect(events.ended == [.consul])
    #expect(events.finished.isEmpty)
    // It is not told of again, and a socket that libcurl has closed itself is nobody's.
    #expect(loop.turn(timeout: .milliseconds(1)).isEmpty)
    loop.forgetConnections()
    #expect(loop.turn(timeout: .milliseconds(1)).isEmpty)
    _ = try #require(ask(loop, request)).get()
    loop.forgetConnections()
    #expect(loop.turn(timeout: .milliseconds(1)).isEmpty)
    #expect(node.connections >= 2)
  }

  @Test("A connection that is old enough is not used again, and others are")
  func connectionAge() throws {
    let node = try StandIn([], last: .vault(200))
    let loop = TransferLoop()
    var request = OutboundRequest(
      usesTLS: false, host: "127.0.0.1", port: node.port, path: "/", timeout: .seconds(30),
      connectTimeout: .seconds(30), bodyBytesMax: 1000, security: OutboundSecurity())
    for _ in 0..<3 { _ = try #require(ask(loop, request)).get() }
    #expect(node.connections == 1)
    request.connectionAgeMax = .seconds(1)
    // Until its second is over, a minute at most.
    for _ in 0..<600 where node.connections == 1 {
      _ = try #require(ask(loop, request)).get()
      _ = loop.turn(timeout: .milliseconds(100))
    }
    #expect(node.connections == 2)
  }

  @Test("Nodes are asked over connections of a minute at most, Consul over any")
  func ages() throws {
    let verified = try MachineFixture.consul(rules: SelectionRules(scheme: .https), verifies: true)
    try verified.consul(consulAnswer(entry("a")))
    for (question, request) in verified.due() {
      #expect(request.connectionAgeMax == (question == .consul ? nil : .seconds(60)))
    }
  }

  @Test("A reload forgets connections: nodes are asked over new ones")
  func reloadForgets() async throws {
    let node = try StandIn([], last: .vault(200))
    let source = try ProbeSource(
      addresses: [try VaultAddress("http://\(node.authority)")], security: OutboundSecurity(),
      interval: .milliseconds(20), timeout: .seconds(50))
    let fixture = LiveFixture(DiscoveryConfiguration(source: .vault(source), version: "1"))
    try fixture.watcher.start()
    #expect(await fixture.nextChange() == node.authority)
    await node.reached(requests: 5)
    #expect(node.connections == 1)
    fixture.watcher.reload()
    await node.reached(requests: node.heads.count + 5)
    #expect(node.connections == 2)
    fixture.watcher.stop()
    #expect(fixture.cell.load().node != nil)
  }
}

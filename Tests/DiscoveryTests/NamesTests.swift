@testable import Discovery
import Glibc
import Redirect
import Synchronization
import Sys
import Testing

@Suite("Names of --vault-addr, and where they are")
struct NamesTests {
  private static let name = "vault.example.com"

  /// One name, and what its lookups find.
  private struct Fixture {
    var names: VaultNames
    var now = Duration.seconds(100)

    init(_ text: String = "https://\(name):8200", template: String? = nil) throws {
      names = VaultNames(
        try ProbeSource(
          addresses: [try VaultAddress(text)],
          template: try template.map { try TargetTemplate($0) },
          security: OutboundSecurity()))
    }

    /// Looks up when it is due, and finds these, each with a name of its own where there is one.
    @discardableResult
    mutating func find(_ list: [(String, String?)]) throws -> VaultNames.Change {
      now = max(now, try #require(names.nextAt))
      let question = try #require(names.due(now: now).first)
      let found = try list.map { host, name in
        FoundAddress(address: try #require(SocketAddress(numeric: host, port: 0)), name: name)
      }
      let failure = LookupFailure(reason: "no answer")
      return names.take(
        found.isEmpty ? .failure(failure) : .success(found), to: question, now: now, random: 0.5)
    }

    @discardableResult
    mutating func find(_ hosts: String...) throws -> VaultNames.Change {
      try find(hosts.map { ($0, nil) })
    }

    var targets: [String] { names.places.map(\.node.target.host) }

    /// Where each is asked.
    var addresses: [[String]] {
      names.places.map { place in
        if case .known(let endpoint) = place.endpoint { endpoint.addresses } else { [] }
      }
    }
  }

  @Test("An address is no name, and is not looked up", arguments: ["10.0.0.1", "[2001:db8::1]"])
  func literal(host: String) throws {
    let fixture = try Fixture("https://\(host):8200")
    #expect(fixture.names.nextAt == nil)
    #expect(fixture.names.isComplete)
    #expect(fixture.names.places.map(\.node.target.authority) == ["\(host):8200"])
  }

  @Test("Nobody is asked by a name before it has been looked up")
  func first() throws {
    let fixture = try Fixture()
    #expect(fixture.names.places.map(\.endpoint) == [.missing(.unknown)])
    #expect(!fixture.names.isComplete)
  }

  @Test("One address is a node of that name, and one of each family is one node")
  func single() throws {
    var fixture = try Fixture()
    try fixture.find("10.0.0.1")
    #expect(fixture.targets == [Self.name])
    #expect(fixture.addresses == [["10.0.0.1"]])
    try fixture.find("2001:db8::1", "10.0.0.1")
    #expect(fixture.targets == [Self.name])
    #expect(fixture.addresses == [["2001:db8::1", "10.0.0.1"]])
    // It has moved.
    try fixture.find("10.0.0.2")
    #expect(fixture.targets == [Self.name])
    #expect(fixture.addresses == [["10.0.0.2"]])
  }

  @Test(
    "Several are nodes at each of them, of the family that goes first, where it has several",
    arguments: [
      (["10.0.0.1", "10.0.0.2"], ["10.0.0.1", "10.0.0.2"]),
      (["2001:db8::1", "2001:db8::2", "10.0.0.1", "10.0.0.2"], ["2001:db8::1", "2001:db8::2"]),
      (["2001:db8::1", "10.0.0.1", "10.0.0.2"], ["10.0.0.1", "10.0.0.2"]),
    ])
  func several(found: [String], targets: [String]) throws {
    var fixture = try Fixture()
    try fixture.find(found.map { ($0, nil) })
    #expect(fixture.targets == targets)
    #expect(fixture.addresses == targets.map { [$0] })
  }

  @Test("An answer may name a few of many: those that were named before stay for a minute")
  func few() throws {
    var fixture = try Fixture()
    try fixture.find("10.0.0.1", "10.0.0.2")
    let start = fixture.now
    try fixture.find("10.0.0.3", "10.0.0.4")
    #expect(Set(fixture.targets) == ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"])
    while fixture.now < start + VaultNames.memory { try fixture.find("10.0.0.3", "10.0.0.4") }
    #expect(Set(fixture.targets) == ["10.0.0.3", "10.0.0.4"])
  }

  @Test("One after the other in turn are several; and one for a minute is that name's node again")
  func inTurn() throws {
    var fixture = try Fixture()
    try fixture.find("10.0.0.1")
    try fixture.find("10.0.0.2")
    #expect(fixture.targets == [Self.name])
    try fixture.find("10.0.0.1")
    #expect(Set(fixture.targets) == ["10.0.0.1", "10.0.0.2"])
    // The last to come back.
    try fixture.find("10.0.0.2")
    let start = fixture.now
    while fixture.now < start + VaultNames.memory { try fixture.find("10.0.0.2") }
    #expect(fixture.targets == [Self.name])
    #expect(fixture.addresses == [["10.0.0.2"]])
  }

  @Test("What is known stays while nobody answers; each change is told once")
  func failure() throws {
    var fixture = try Fixture()
    #expect(try fixture.find() == VaultNames.Change(failure: "no answer"))
    #expect(fixture.names.places.map(\.endpoint) == [.missing(.unreachable("no answer"))])
    #expect(fixture.names.isComplete)
    #expect(try fixture.find() == VaultNames.Change())
    let found = VaultNames.Change(addresses: ["10.0.0.1"], isBack: true)
    #expect(try fixture.find("10.0.0.1") == found)
    #expect(try fixture.find("10.0.0.1") == VaultNames.Change())
    for _ in 0..<20 { try fixture.find() }
    #expect(fixture.addresses == [["10.0.0.1"]])
  }

  @Test(
    "A name is looked up each ten seconds, each second until it is found, a second after a node failed, and at once on a signal"
  )
  func pace() throws {
    var fixture = try Fixture()
    #expect(fixture.names.nextAt == .zero)
    try fixture.find()
    #expect(fixture.names.nextAt == fixture.now + .seconds(1))
    try fixture.find("10.0.0.1")
    #expect(fixture.names.nextAt == fixture.now + .seconds(10))
    guard case .known(let endpoint) = fixture.names.places[0].endpoint else {
      Issue.record("it has no place")
      return
    }
    fixture.names.nodeFailed(endpoint, now: fixture.now)
    #expect(fixture.names.nextAt == fixture.now + .seconds(1))
    fixture.now += .seconds(5)
    fixture.names.nodeFailed(endpoint, now: fixture.now)
    #expect(fixture.names.nextAt == fixture.now + .seconds(1) - .seconds(5))
    try fixture.find("10.0.0.1")
    fixture.names.lookUpAgain(now: fixture.now)
    #expect(fixture.names.nextAt == fixture.now)
    // While one is out, another follows it.
    let question = try #require(fixture.names.due(now: fixture.now).first)
    #expect(fixture.names.nextAt == nil)
    fixture.names.lookUpAgain(now: fixture.now)
    let failure = LookupFailure(reason: "no answer")
    _ = fixture.names.take(.failure(failure), to: question, now: fixture.now, random: 0.5)
    #expect(fixture.names.nextAt == fixture.now)
  }

  @Test("A template is filled with what an address is called, of which the first label counts")
  func template() throws {
    var fixture = try Fixture(template: "https://{node}.example.org:{port}")
    try fixture.find([
      ("10.0.0.1", "vault-0.internal"), ("10.0.0.2", nil), ("10.0.0.3", "vault-0"),
      ("10.0.0.4", "-/@"),
    ])
    #expect(fixture.targets == ["vault-0.example.org", "10.0.0.2", "10.0.0.3", "10.0.0.4"])
    #expect(
      fixture.names.places.map(\.refusal?.text) == [
        nil, "its address has no name, which --target-template asks for",
        "vault-0.example.org:8200 is the target of https://10.0.0.1:8200 too",
        "its name gives no usable target by --target-template",
      ])
    // A reverse zone that is silent once has not forgotten.
    try fixture.find([("10.0.0.1", nil), ("10.0.0.2", "vault-1.internal")])
    #expect(fixture.targets.prefix(2) == ["vault-0.example.org", "vault-1.example.org"])
  }

  @Test(
    "A template for a name of one node, and for an address",
    arguments: [
      ("https://vault-0.internal:8200", "https://{node}.example.org:{port}", "vault-0.example.org"),
      ("https://vault-0.internal:8200", "http://{ip}:80", "10.0.0.1"),
      ("https://vault-0.internal:8200", "https://{address}.org", "vault-0.internal.org"),
    ])
  func templateOfOne(address: String, template: String, host: String) throws {
    var fixture = try Fixture(address, template: template)
    try fixture.find([("10.0.0.1", "other")])
    #expect(fixture.targets == [host])
    #expect(fixture.names.places[0].refusal == nil)
  }

  @Test("Clients follow a name's node to its address when the name gets others")
  func renamed() throws {
    let fixture = try MachineFixture.probes(["vault"])
    fixture.probes(["vault": 200])
    #expect(fixture.cell.load().node?.target.host == "vault")
    fixture.names["vault"] = ["192.0.2.1", "192.0.2.2"]
    fixture.clock.advance(by: .seconds(13))
    fixture.lookUp()
    #expect(fixture.cell.load().node?.target.host == "192.0.2.1")
    #expect(fixture.machine.nodes?.nodes.count == 2)
  }

  @Test("Whoever is at a name's new address is not served before it has spoken")
  func moved() throws {
    let fixture = try MachineFixture.probes(["vault"])
    fixture.probes(["vault": 200])
    let old = fixture.health(of: 0)
    _ = fixture.due()
    fixture.names["vault"] = ["192.0.2.9"]
    fixture.clock.advance(by: .seconds(13))
    fixture.lookUp()
    #expect(fixture.node == nil)
    // What was on its way from the old address says nothing of the new one.
    fixture.machine.take(.success(vaultAnswer(200)), to: old, now: fixture.clock.now)
    #expect(fixture.node == nil)
    fixture.probe(0, 200)
    #expect(fixture.cell.load().node?.target.host == "vault")
  }

  @Test("An endless answer is cut")
  func many() throws {
    var fixture = try Fixture()
    try fixture.find((0..<300).map { ("10.0.\($0 / 250).\($0 % 250)", nil) })
    var nodes = VaultNodes(interval: .seconds(1))
    nodes.replace(fixture.names.places)
    #expect(nodes.nodes.count == VaultNodes.nodesMax)
  }

  @Test(
    "Connections go to the addresses, whatever the name, and TLS asks for the name",
    arguments: [
      ([], nil, nil), (["10.0.0.1"], "10.0.0.1:8200", nil),
      (["2001:db8::1"], "[2001:db8::1]:8200", nil),
      (
        ["2001:db8::1", "10.0.0.1"], "at-2001-db8--1_10-0-0-1.invalid:8200",
        "+at-2001-db8--1_10-0-0-1.invalid:8200:[2001:db8::1],10.0.0.1"
      ),
    ] as [([String], String?, String?)])
  func pinned(addresses: [String], connectsTo: String?, resolves: String?) {
    let request = OutboundRequest(
      usesTLS: true, host: Self.name, port: 8200, addresses: addresses, path: "/", timeout: .zero,
      connectTimeout: .zero, bodyBytesMax: 0, security: OutboundSecurity())
    #expect(request.urlByServerName == "https://\(Self.name):8200/")
    #expect(request.connectsTo == connectsTo)
    #expect(request.pinnedAddresses == resolves)
  }

  @Test("However many names there are, a few are looked up at once, and all in the end")
  func manyNames() throws {
    let gate = try Gate()
    let loop = TransferLoop()
    let lookups = NameLookups(waking: loop.waker) { question in
      gate.pass()
      return .failure(LookupFailure(reason: question.host))
    }
    let hosts = (0..<4 * NameLookups.threadsMax).map { "n\($0).example" }
    for host in hosts { lookups.start(NameQuestion(host: host, wantsNames: false)) }
    gate.awaitArrivals(NameLookups.threadsMax)
    gate.open(for: hosts.count)
    var answered: [String] = []
    while answered.count < hosts.count {
      _ = loop.turn(timeout: .seconds(60))
      answered += lookups.takeFinished().map(\.question.host)
    }
    #expect(answered.sorted() == hosts.sorted())
    #expect(gate.mostAtOnce == NameLookups.threadsMax)
  }

  @Test("The resolver of this machine")
  func live() throws {
    let found = try NameQuestion(host: "127.0.0.1", wantsNames: false).ask().get()
    #expect(found.map(\.address.host) == ["127.0.0.1"])
    let answer = NameQuestion(host: "no-such-name.invalid", wantsNames: false).ask()
    guard case .failure(let failure) = answer else {
      Issue.record("it has an address")
      return
    }
    #expect(failure.reason.hasPrefix("no-such-name.invalid: "))
  }
}

/// Where threads wait until they are let through.
private final class Gate: Sendable {
  private let arrivals: Pipe
  private let passes: Pipe
  private let inside = Mutex((now: 0, most: 0))

  init() throws {
    arrivals = try Pipe()
    passes = try Pipe()
  }

  /// The most that have waited side by side.
  var mostAtOnce: Int { inside.withLock { $0.most } }

  func pass() {
    inside.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
    arrivals.write(1)
    passes.read(1)
    inside.withLock { $0.now -= 1 }
  }

  func awaitArrivals(_ count: Int) { arrivals.read(count) }

  func open(for count: Int) { passes.write(count) }
}

private struct Pipe: ~Copyable, Sendable {
  private let reader: FileDescriptor
  private let writer: FileDescriptor

  init() throws {
    var ends: [Int32] = [0, 0]
    // Two descriptors are written where it answers 0, and the array has room for two.
    guard unsafe pipe(&ends) == 0 else { throw SystemError("pipe", code: errno) }
    reader = FileDescriptor(owning: ends[0])
    writer = FileDescriptor(owning: ends[1])
  }

  /// Waits until so many bytes have come.
  func read(_ count: Int) {
    var byte: UInt8 = 0
    for _ in 0..<count { #expect(unsafe Glibc.read(reader.number, &byte, 1) == 1) }
  }

  func write(_ count: Int) {
    let bytes = [UInt8](repeating: 0, count: count)
    #expect(unsafe Glibc.write(writer.number, bytes, count) == count)
  }
}

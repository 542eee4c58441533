import Frontend
import Glibc
import ProxyProtocol
import Redirect
import Sys
import TLS
import Telemetry

/// One worker with its listeners, the clients of a script, and a clock: all of it on one thread.
final class World {
  let settings: Settings
  let materials: Materials
  let clock = HandClock()
  let cell: ActiveNodeCell
  let probe: WorkerProbe
  let recorder = CloseRecorder()
  let stores: [Target: TLSContextStore]
  private let listeners: [Target: Listener]
  private var poller: Poller

  /// Where scripts find their clients; and the ones that came in crowds.
  var places = [Client?](repeating: nil, count: 256)
  var crowd: [Client] = []
  /// Everyone who may still hear something, by socket address and by the server's number.
  private var byAddress: [Address: Client] = [:]
  private var byID: [UInt64: Client] = [:]
  private var serials = 0
  var tickets: [Ticket] = []

  /// What was published, in order: nil for no active node.
  private(set) var nodes: [UInt8?] = [nil]
  /// Turns since the last publication.
  private var turnsWithNode = 0
  private var timeAtTurn = MonotonicTime(nanoseconds: 0)
  private(set) var closed = 0
  private(set) var turns = 0
  /// Turns for which descriptors stay scarce.
  var scarceTurns = 0
  var isDraining = false
  /// Clients with much on its way, which a turn's budget has to be measured for.
  private(set) var busy: [Int: Client] = [:]
  /// Clients whose bytes the kernel or a gate refused.
  private var waiting: [Int: Client] = [:]
  var bytesMoved = 0
  /// Turns in which nothing happened though the worker was awake, and what had happened before.
  var idleTurns = 0
  var lastProgress = 0

  var scratch = [UInt8](repeating: 0, count: 65_536)
  var plaintext = [UInt8](repeating: 0, count: 16_384)

  /// Connections that were begun.
  var lives: Int { serials }
  var generation: Int { nodes.count - 1 }
  var all: [Client] { places.compactMap { $0 } + crowd }

  init(_ settings: Settings, _ materials: Materials) throws {
    self.settings = settings
    self.materials = materials
    cell = ActiveNodeCell(status: DiscoveryStatus(source: .probe), time: clock.source)
    let first = settings.hasLongChain ? materials.long : materials.short
    let certified = settings.requiresClientCertificates ? materials.required : materials.optional
    let store = TLSContextStore(first)
    stores = [
      .encrypted: store, .proxiedEncrypted: store, .certified: TLSContextStore(certified),
    ]
    var listeners: [Target: Listener] = [:]
    for target in Target.allCases {
      listeners[target] = try Self.listen(
        target, stores[target], settings: settings, cell: cell, time: clock.source)
    }
    self.listeners = listeners
    poller = try Poller()
    let configuration = try FrontendConfiguration(
      listeners: Target.allCases.compactMap { listeners[$0] }, workers: 1, limits: settings.limits,
      accessLog: settings.logsAccess ? .withPath : .off, server: "simulation", log: recorder.log,
      logWriter: LogWriter(descriptor: 2, style: .plain))
    probe = try WorkerProbe(configuration, clock)
    cell.observe(probe.announce)
    if let node = settings.firstNode { publish(node) }
  }

  deinit {
    for client in all { client.close() }
  }

  private static func listen(
    _ target: Target, _ store: TLSContextStore?, settings: Settings, cell: ActiveNodeCell,
    time: TimeSource
  ) throws -> Listener {
    let socket = try ListeningSocket(
      binding: SocketAddress(ipv4: 0x7F00_0001, port: 0), dualStack: false, backlog: 4096)
    let sources = AddressBlock("127.0.0.0/8").map { [$0] } ?? []
    let listener = Listener(
      name: target == .admin ? "admin" : "public", socket: socket,
      security: store.map { .tls($0) } ?? .plain,
      proxyProtocol: target.isProxied ? ProxyPolicy(mode: .any, sources: sources) : .off,
      mayUseReserve: target == .admin
    ) {
      if target == .admin { return EchoResponder() }
      let redirects = RedirectSettings(
        version: "0", sourceURL: "https://source.example", consulHostPort: nil,
        healthGrace: .seconds(settings.healthGraceSeconds))
      return RedirectResponder(cell: cell, settings: redirects, time: time)
    }
    WorkerProbe.setBuffers(of: listener, settings)
    return listener
  }

  func echo(_ target: [UInt8]) -> [UInt8] { EchoResponder.body(target) }

  // MARK: What discovery does

  func publish(_ number: UInt8?) {
    let node = number.flatMap { number in
      RedirectTarget(scheme: .https, host: "node-\(number).example", port: 8200).map {
        ActiveNode(target: $0, name: "node-\(number)")
      }
    }
    guard cell.publish(node) else { return }
    nodes.append(number)
    turnsWithNode = 0
  }

  // MARK: Clients

  /// A new client; nil where there is no descriptor for it.
  func connect(_ options: ConnectOptions) throws(Violation) -> Client? {
    // A socket that has stopped listening gives its port away: to anybody.
    guard let listener = listeners[options.target], !probe.isDraining else { return nil }
    let ticket = options.resumes ? tickets.last : nil
    guard
      let client = Client(
        serial: serials, options: options, port: listener.socket.address.port, ticket: ticket,
        world: self)
    else { return nil }
    serials += 1
    byAddress[Address(client)] = client
    try? poller.add(
      client.descriptor, options.gate.contains(.reading) ? [] : .read,
      token: UInt64(client.serial))
    bySerial[client.serial] = client
    try pump(client)
    return client
  }

  private var bySerial: [Int: Client] = [:]

  /// Lets a client move what it may, and remembers where it could not.
  func pump(_ client: Client) throws(Violation) {
    try client.pump(self)
    if client.hasSomethingToSend, client.isOpen {
      waiting[client.serial] = client
    } else if !waiting.isEmpty {
      waiting[client.serial] = nil
    }
  }

  func setReading(_ client: Client) {
    if client.gate.contains(.reading) { client.hearing.isDeaf = true }
    guard client.isOpen, client.end == nil else { return }
    try? poller.modify(
      client.descriptor, client.gate.contains(.reading) ? [] : .read, token: UInt64(client.serial))
  }

  func keepTicket(of client: Client) {
    guard tickets.count < 8, client.hearing.answered == 1, let session = client.session,
      let ticket = session.ticket()
    else { return }
    tickets.append(ticket)
  }

  func noteTraffic(_ client: Client, bytes: Int) {
    bytesMoved += bytes
    client.onItsWay += bytes
    if client.onItsWay > 24 << 10 || client.hearing.owed > 48 { busy[client.serial] = client }
  }

  /// Forgets a client whose socket is closed.
  func forget(_ client: Client) {
    bySerial[client.serial] = nil
    waiting[client.serial] = nil
    busy[client.serial] = nil
    let address = Address(client)
    if client.closeReason != nil, byAddress[address] === client { byAddress[address] = nil }
  }

  // MARK: The loop

  /// A turn of the worker's loop, and then of every client that it concerns.
  func turn() throws(Violation) {
    turns += 1
    if scarceTurns > 0 {
      scarceTurns -= 1
      if scarceTurns == 0 { Descriptors.relieve() }
    }
    let budgets = busy.values.compactMap { Budget($0) }
    let wasDraining = probe.isDraining
    for budget in budgets { budget.client.hearing.busyUntil = turns + 1 }
    let longestIdle = probe.longestIdle
    do { try probe.turn() } catch { throw Violation("the loop goes on", "\(error)") }
    turnsWithNode += 1
    try meet(longestIdle)
    // The worker looks at everyone once more when a drain begins, and at those whose time is over.
    let extra = (probe.isDraining != wasDraining ? 1 : 0) + (clock.now != timeAtTurn ? 1 : 0)
    timeAtTurn = clock.now
    for budget in budgets {
      try budget.check(probe, turns: 1 + extra)
      if budget.client.hasArrived { busy[budget.client.serial] = nil }
    }
    // A poller tells of 128 descriptors at once; the one that wakes may be among the next.
    try checkCounts(hasHadNode: turnsWithNode > 1 + probe.living / 64)
    if turns % 32 == 0 { try checkConnections() }
    try hear()
    try checkSleep()
  }

  /// Finds out which connections came and went.
  private func meet(_ longestIdle: LongestIdle?) throws(Violation) {
    for side in probe.newConnections() {
      let target = Target.allCases[side.listenerIndex]
      guard let client = byAddress[Address(text: side.peer, target: target)] else { continue }
      client.connection = side
      byID[side.id] = client
    }
    for close in recorder.take() {
      closed += 1
      guard let client = byID.removeValue(forKey: close.connection) ?? unmet(close.client) else {
        continue
      }
      if let earlier = client.closeReason {
        throw Violation(
          "a connection ends with one reason",
          "\(client.address) was closed for \(earlier), and again for \(close.reason)")
      }
      client.closeReason = close.reason
      client.hearing.noteClosed()
      try checkClose(client, close, longestIdle)
      if !client.isOpen { forget(client) }
    }
  }

  /// The client of a connection that came and went within a turn; nil where its address does not
  /// tell.
  private func unmet(_ address: String) -> Client? {
    let candidates = Target.allCases.compactMap { byAddress[Address(text: address, target: $0)] }
      .filter { $0.connection == nil && $0.closeReason == nil }
    return candidates.count == 1 ? candidates.first : nil
  }

  /// Lets every client read that has something to, and send what it could not before.
  private func hear() throws(Violation) {
    while true {
      guard let count = try? poller.wait(milliseconds: 0) else { return }
      for index in 0..<count {
        let event = poller.event(index)
        guard let client = bySerial[Int(event.token)] else { continue }
        try client.receive(self)
        try pump(client)
        if client.end != nil { try? poller.remove(client.descriptor) }
      }
      if count < 128 { break }
    }
    if !waiting.isEmpty { for client in Array(waiting.values) { try pump(client) } }
  }
}

/// Where a connection comes from and what it goes to: one port may serve for several targets.
private struct Address: Hashable {
  let text: String
  let target: Target

  init(text: String, target: Target) {
    self.text = text
    self.target = target
  }

  init(_ client: Client) {
    self.init(text: client.address, target: client.options.target)
  }
}

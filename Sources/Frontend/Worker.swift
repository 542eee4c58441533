import HTTP1
import Sys
import TLS
import Telemetry

/// An event loop on a thread of its own: it owns its poller, its connections, their deadlines and the buffers that they share,
/// and nobody else touches them.
final class Worker {
  let listeners: [Listener]
  let limits: FrontendLimits
  let accessLog: AccessLogMode
  let log: Log
  let logWriter: LogWriter
  let server: [UInt8]
  let state: FrontendState
  let control: WorkerControl
  let responders: [any Responder]

  /// What every connection reads into, while it has its turn.
  let receiveBlock = ReceiveBlock()
  /// What the connection that has its turn will send.
  let outbound = OutboundBuffer(capacity: 32 << 10)
  /// What a responder wrote for a connection with TLS, before it is encrypted.
  let plaintext = OutboundBuffer(capacity: 16 << 10)

  var deadlines: DeadlineQueue
  /// The time when this turn of the loop began.
  private(set) var now: MonotonicTime
  private(set) var date: HTTPDate
  private var dateSeconds: Int64
  private(set) var isDraining = false

  private var poller: Poller
  private var connections = ConnectionTable()
  private var warm = WarmSessions()
  private lazy var acceptor = Acceptor(self)
  private var contexts: [ContextCache]
  /// Where each listener's connections are counted.
  private let acceptedPlaces: [Int]
  private var due: [Int] = []
  private var resumable: [UInt64] = []
  private var held = 0
  var proxyErrorLog = LogLimiter()

  private static let wakeupToken = UInt64.max
  private let clock: WorkerClock

  /// - Parameter clock: what tells the time at the beginning of each turn of the loop.
  init(
    _ configuration: FrontendConfiguration, state: FrontendState, control: WorkerControl,
    clock: WorkerClock = .system
  ) throws(SystemError) {
    listeners = configuration.listeners
    limits = configuration.limits
    accessLog = configuration.accessLog
    log = configuration.log
    logWriter = configuration.logWriter
    server = Array(configuration.server.utf8)
    responders = configuration.listeners.map { $0.makeResponder() }
    contexts = configuration.listeners.map { ContextCache($0.security) }
    acceptedPlaces = FrontendCounter.acceptedPlaces(configuration.listeners.map(\.name))
    self.state = state
    self.control = control
    self.clock = clock
    now = clock.now()
    dateSeconds = clock.secondsSinceEpoch()
    date = HTTPDate(secondsSinceEpoch: dateSeconds)
    deadlines = DeadlineQueue(now: now)
    poller = try Poller()
    try poller.add(control.wakeup.number, .read, token: Self.wakeupToken)
  }

  /// Begins to accept connections.
  func start() throws(SystemError) {
    try acceptor.start()
  }

  // MARK: The loop

  /// Serves until it is told to drain and the last connection is gone.
  func run() {
    do {
      while !isFinished { try turn(waiting: waitMilliseconds) }
    } catch {
      // Only a bug makes epoll_wait fail: a wrong descriptor or a wrong pointer.
      preconditionFailure("a worker cannot wait for events: \(error)")
    }
  }

  /// Drained, and the last connection is gone.
  var isFinished: Bool { isDraining && connections.count == 0 }

  /// One turn of the loop: what happened, what was left over, what is late.
  func turn(waiting milliseconds: Int32) throws(SystemError) {
    let count = try poller.wait(milliseconds: milliseconds)
    now = clock.now()
    updateDate()
    for index in 0..<count { handle(poller.event(index)) }
    resumeYielded()
    expireDeadlines()
    acceptor.retry()
  }

  private var waitMilliseconds: Int32 {
    if !resumable.isEmpty { return 0 }
    let sleep = deadlines.sleepMilliseconds(now: now)
    let retry = acceptor.retryMilliseconds()
    if sleep < 0 { return retry }
    return retry < 0 ? sleep : min(sleep, retry)
  }

  private func handle(_ event: PollEvent) {
    if event.token == Self.wakeupToken {
      control.wakeup.clear()
      handleWakeup()
    } else if let index = Acceptor.listenerIndex(of: event.token) {
      acceptor.accept(index, budget: limits.acceptBudget)
    } else if let connection = connections.find(token: event.token) {
      handle(event, connection)
    }
  }

  @inline(__always)
  private func handle(_ event: PollEvent, _ connection: Connection) {
    if event.isBroken {
      connection.breakOff(on: self)
    } else if event.isHangup && connection.phase == .holding {
      connection.close(self, .abandonedHold)
    } else {
      if event.isReadable { connection.mayRead = true }
      if event.isHangup { connection.peerHasFinished = true }
      connection.advance(on: self)
    }
  }

  private func handleWakeup() {
    if held > 0 {
      for connection in connections.all where connection.phase == .holding {
        connection.retryHold(self)
      }
    }
    if state.takeRoomRequest() { makeRoomForOthers() }
    switch state.stage {
    case .running: break
    case .draining: beginDrain()
    case .stopping: closeAll(.drainTimeout)
    }
  }

  private func resumeYielded() {
    guard !resumable.isEmpty else { return }
    let tokens = resumable
    resumable.removeAll(keepingCapacity: true)
    for token in tokens { connections.find(token: token)?.advance(on: self) }
  }

  private func expireDeadlines() {
    deadlines.expire(now: now, into: &due)
    guard !due.isEmpty else { return }
    for slot in due { connections.find(slot: slot)?.expire(on: self) }
    due.removeAll(keepingCapacity: true)
  }

  private func updateDate() {
    let seconds = clock.secondsSinceEpoch()
    if seconds != dateSeconds {
      dateSeconds = seconds
      date = HTTPDate(secondsSinceEpoch: seconds)
    }
  }

  // MARK: Drain

  /// Takes what the kernel has accepted already, stops listening, and lets every connection finish what it has begun.
  private func beginDrain() {
    guard !isDraining else { return }
    for index in listeners.indices { acceptor.accept(index, budget: .max) }
    isDraining = true
    acceptor.stop()
    state.stoppedAccepting(listeners)
    for connection in connections.all {
      // A request may have come since the last event: one more look, and then the idle ones go.
      connection.mayRead = true
      connection.advance(on: self)
      if connection.isIdle { connection.closeGracefully(self, .drained) }
    }
  }

  private func closeAll(_ reason: CloseReason) {
    isDraining = true
    for connection in connections.all { connection.close(self, reason) }
  }

  // MARK: Connections

  /// Takes an accepted socket in.
  func open(_ socket: consuming StreamSocket, peer: SocketAddress, listenerIndex: Int) {
    let listener = listeners[listenerIndex]
    let (slot, token) = connections.reserve()
    let number = socket.number
    let connection = Connection(
      slot: slot, token: token, id: state.nextConnectionID(), listenerIndex: listenerIndex,
      peer: peer, socket: socket, phase: listener.firstPhase, limits: limits.message, now: now)
    connections.insert(connection)
    control.counters.add(acceptedPlaces[listenerIndex])
    control.counters.set(FrontendCounter.active, to: UInt64(connections.count))
    if listener.refusesHeader(from: peer) {
      refuseProxySource(peer)
      connection.close(self, .proxyHeader)
      return
    }
    // Behind a load balancer all come from its address: whose connection it is, the PROXY header will tell.
    guard connection.phase == .readingProxyHeader || admit(connection) else {
      connection.close(self, .addressLimit)
      return
    }
    do {
      try watch(number, connection.interest, token: token)
      deadlines.set(slot, at: now + listener.firstTimeout(limits))
    } catch {
      log.error("a connection cannot be watched", metadata: ["reason": "\(error)"])
      connection.close(self, .reset)
    }
  }

  func watch(_ number: Int32, _ interest: Interest, token: UInt64) throws(SystemError) {
    try poller.add(number, interest, token: token)
  }

  func unwatch(_ number: Int32) {
    // What is unwatched was watched, so this cannot fail.
    try? poller.remove(number)
  }

  /// Says what a connection waits for now.
  func register(_ connection: Connection, _ interest: Interest) {
    do {
      try poller.modify(connection.transport.socket.number, interest, token: connection.token)
    } catch {
      log.error("a connection cannot be watched", metadata: ["reason": "\(error)"])
      connection.close(self, .reset)
    }
  }

  /// Forgets a closed connection; its socket is closed when the last reference goes, at the end of its turn.
  func remove(_ connection: Connection, _ reason: CloseReason) {
    deadlines.clear(connection.slot)
    connections.remove(connection)
    if connection.isCounted {
      state.release(connection.client, limit: limits.connectionsPerAddressMax)
    }
    state.releaseConnection()
    control.counters.set(FrontendCounter.active, to: UInt64(connections.count))
    control.counters.add(FrontendCounter.closed + reason.rawValue)
    logClose(connection, reason)
    acceptor.connectionClosed()
  }

  /// Closes one idle keep-alive connection to make room; false where there is none.
  func reclaimIdle() -> Bool {
    guard let idle = connections.nextIdle() else { return false }
    idle.closeGracefully(self, .reclaimed)
    return true
  }

  /// Another worker has a connection to take and none that is idle: one of ours goes, and who comes first takes the place.
  private func makeRoomForOthers() {
    guard reclaimIdle() else { return state.returnRoomRequest() }
    for index in listeners.indices { acceptor.accept(index, budget: 1) }
  }

  /// The connection goes on after everybody else had a turn.
  func resumeLater(_ connection: Connection) {
    resumable.append(connection.token)
  }

  /// The TLS context for new connections of a listener: the newest that was published.
  func tlsContext(for listenerIndex: Int) -> TLSContext? {
    contexts[listenerIndex].current()
  }

  /// Counts the connection for its client's address; false where that one has too many already.
  func admit(_ connection: Connection) -> Bool {
    connection.isCounted = true
    return state.admit(connection.client, limit: limits.connectionsPerAddressMax)
  }

  // MARK: Buffers

  /// Where a responder writes: straight to what is sent, or to what is encrypted first.
  @inline(__always)
  func sink(_ connection: Connection) -> OutboundBuffer {
    connection.isEncrypted ? plaintext : outbound
  }

  @inline(__always)
  func gatheredBytes(_ connection: Connection) -> Int { sink(connection).count }

  /// Answers wait to be sent. (Outbound alone may hold a handshake's last flight, which leaves with them.)
  @inline(__always)
  func hasGathered(_ connection: Connection) -> Bool { !sink(connection).isEmpty }

  /// Lets the connection's session keep its record buffers, and takes those of the one that had them longest.
  @inline(__always)
  func keepWarm(_ connection: Connection) {
    if connection.isWarm || !connection.isEncrypted { return }
    connection.isWarm = true
    if let token = warm.replaceOldest(with: connection.token) {
      connections.find(token: token)?.coolDown()
    }
  }

  // MARK: Holds

  /// Fewer requests are held than may be, over all workers.
  var mayHoldAnother: Bool { state.hasHoldLeft(limit: limits.heldMax) }

  /// Takes a place among the held requests; false where another worker has taken the last one meanwhile.
  func beginHold(isFirst: Bool) -> Bool {
    guard state.reserveHold(limit: limits.heldMax) else { return false }
    held += 1
    control.counters.set(FrontendCounter.held, to: UInt64(held))
    if isFirst { control.counters.add(FrontendCounter.heldTotal) }
    return true
  }

  func endHold() {
    state.releaseHold()
    held -= 1
    control.counters.set(FrontendCounter.held, to: UInt64(held))
  }
}

/// What tells a worker the time; a simulation has hands of its own to it.
struct WorkerClock {
  let now: () -> MonotonicTime
  let secondsSinceEpoch: () -> Int64

  static let system = WorkerClock(
    now: { MonotonicTime.now() }, secondsSinceEpoch: { MonotonicTime.secondsSinceEpoch() })
}

/// The newest context of a listener's store, loaded again when another was published.
private struct ContextCache {
  private let store: TLSContextStore?
  private var context: TLSContext?
  private var generation: UInt64 = 0

  init(_ security: Listener.Security) {
    switch security {
    case .plain: store = nil
    case .tls(let store): self.store = store
    }
  }

  mutating func current() -> TLSContext? {
    guard let store else { return nil }
    let published = store.generation
    if published != generation {
      context = store.load()
      generation = published
    }
    return context
  }
}

import HTTP1
import Sys
import TLS
import Telemetry

/// An event loop on a thread of its own: it owns its poller, its connections and their deadlines, and lends them empty buffers;
/// nobody else touches them.
final class Worker {
  let listeners: [Listener]
  let limits: FrontendLimits
  let accessLog: AccessLogMode
  let log: Log
  let logWriter: LogWriter
  let server: [UInt8]
  let state: FrontendState
  let admission: Admission
  let control: WorkerControl
  let responders: [any Responder]
  /// Empty blocks, for the buffers of whichever connection has something to keep in them.
  let buffers: BufferPool

  var deadlines: DeadlineQueue
  /// The time when this turn of the loop began.
  private(set) var now: MonotonicTime
  private(set) var date: HTTPDate
  private var dateSeconds: Int64
  private(set) var isDraining = false
  let connections = ConnectionTable()

  var poller: Poller
  var warm = WarmSessions()
  let acceptor: Acceptor
  var contexts: [ContextCache]
  /// Where each listener's connections are counted.
  let acceptedPlaces: [Int]
  private var due: [Int] = []
  /// Connections with more to do, which go on in the next turn of the loop.
  var queue: [UInt64] = []
  /// Connections whose held request is to be asked for again, since something was published.
  private(set) var waiting: ArraySlice<UInt64> = []
  var proxyErrorLog = LogLimiter()
  var reportedFaults: Set<String> = []

  private static let wakeupToken = UInt64.max
  private let clock: WorkerClock

  /// - Parameters:
  ///   - clock: what tells the time at the beginning of each turn of the loop.
  ///   - faults: where what must not happen is reported.
  init(
    _ configuration: FrontendConfiguration, state: FrontendState, admission: Admission,
    control: WorkerControl, clock: WorkerClock = .system, faults: Faults = Faults()
  ) throws(SystemError) {
    buffers = BufferPool(faults: faults)
    listeners = configuration.listeners
    limits = configuration.limits
    accessLog = configuration.accessLog
    log = configuration.log
    logWriter = configuration.logWriter
    server = Array(configuration.server.utf8)
    responders = configuration.listeners.map { $0.makeResponder() }
    contexts = configuration.listeners.map { ContextCache($0.security) }
    acceptedPlaces = FrontendCounter.acceptedPlaces(configuration.listeners.map(\.name))
    acceptor = Acceptor(listeners: configuration.listeners.count)
    self.state = state
    self.admission = admission
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
    try acceptor.start(self)
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

  /// One turn of the loop: what happened, what was left over from the turn before, what is late. A connection has one turn
  /// in it for its events, and none where it has one coming anyway.
  func turn(waiting milliseconds: Int32) throws(SystemError) {
    let count = try poller.wait(milliseconds: milliseconds)
    now = clock.now()
    updateDate()
    var left: [UInt64] = []
    if !queue.isEmpty { swap(&left, &queue) }
    for index in 0..<count { handle(poller.event(index)) }
    for token in left { goOn(token) }
    answerWaiting()
    expireDeadlines()
    acceptor.retry(self)
  }

  private var waitMilliseconds: Int32 {
    if !queue.isEmpty || !waiting.isEmpty { return 0 }
    let sleep = deadlines.sleepMilliseconds(now: now)
    let retry = acceptor.retryMilliseconds(now: now)
    if sleep < 0 { return retry }
    return retry < 0 ? sleep : min(sleep, retry)
  }

  private func handle(_ event: PollEvent) {
    if event.token == Self.wakeupToken {
      control.wakeup.clear()
      handleWakeup()
    } else if let index = Acceptor.listenerIndex(of: event.token) {
      acceptor.accept(index, budget: limits.acceptBudget, on: self)
    } else if let connection = connections.find(token: event.token) {
      handle(event, connection)
    }
  }

  @inline(__always)
  private func handle(_ event: PollEvent, _ connection: Connection) {
    if event.isBroken {
      connection.breakOff(on: self)
      return
    }
    if event.isReadable { connection.transport.becomeReadable() }
    if event.isHangup { connection.peerFinished(on: self) }
    // Nobody is there any more whom the answer could reach, and nothing else would be read.
    if event.isShutDown, case .holding = connection.phase {
      connection.close(self, .abandonedHold)
      return
    }
    if !connection.isQueued { connection.advance(on: self) }
  }

  private func handleWakeup() {
    if control.takeNews() { waiting = connections.all(.held).map(\.token)[...] }
    if admission.takeRoomRequest() { makeRoomForOthers() }
    switch state.stage {
    case .running: break
    case .draining: beginDrain()
    case .stopping: closeAll(.drainTimeout)
    }
  }

  /// Asks again for held requests, those that wait for longest first, and so many in a turn of the loop: the others come
  /// between.
  private func answerWaiting() {
    guard !waiting.isEmpty else { return }
    let some = waiting.prefix(limits.heldAnswersMax)
    waiting.removeFirst(some.count)
    for token in some {
      guard let connection = connections.find(token: token), case .holding = connection.phase
      else { continue }
      connection.answerHeld(self, mayHold: true)
      connection.advance(on: self)
    }
  }

  private func goOn(_ token: UInt64) {
    guard let connection = connections.find(token: token) else { return }
    connection.isQueued = false
    connection.advance(on: self)
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
    // Those who waited when the drain began, and nobody who comes meanwhile, or it would never end.
    for (index, listener) in listeners.enumerated() {
      acceptor.accept(index, budget: listener.socket.connectionsWaiting, on: self)
    }
    isDraining = true
    acceptor.stop(self)
    state.stoppedAccepting(listeners)
    for connection in connections.all {
      // A request may have come since the last event: one more look, and then the idle ones go.
      connection.transport.becomeReadable()
      if !connection.isQueued { connection.advance(on: self) }
      if case .readingHead(.idle) = connection.phase {
        connection.closeGracefully(self, .drained)
      }
    }
  }

  private func closeAll(_ reason: CloseReason) {
    isDraining = true
    for connection in connections.all { connection.close(self, reason) }
  }
}

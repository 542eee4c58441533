import Glibc
import ProxyProtocol
import Sys
import Telemetry

@testable import Frontend

/// The one place that looks into the frontend: its worker, stepped, and what stands in it.
final class WorkerProbe {
  private let worker: Worker
  private let state: FrontendState
  private let control: WorkerControl
  private let admission: Admission
  private var lastID: UInt64 = 0

  init(_ configuration: FrontendConfiguration, _ clock: HandClock) throws {
    control = try WorkerControl()
    state = FrontendState(workers: 1)
    admission = Admission(configuration.limits, wakeups: [control.wakeup])
    worker = try Worker(
      configuration, state: state, admission: admission, control: control,
      clock: WorkerClock(
        now: { clock.now }, secondsSinceEpoch: { clock.secondsSinceEpoch }))
    try worker.start()
  }

  /// Has accepted sockets inherit buffers of these sizes.
  static func setBuffers(of listener: Listener, _ settings: Settings) {
    let number = listener.socket.number
    if let bytes = settings.sendBytes { Socket.set(number, SOL_SOCKET, SO_SNDBUF, bytes) }
    if let bytes = settings.receiveBytes { Socket.set(number, SOL_SOCKET, SO_RCVBUF, bytes) }
  }

  /// One turn of the loop, which waits for nothing.
  func turn() throws { try worker.turn(waiting: 0) }

  var wakeup: Wakeup { control.wakeup }
  /// Held requests that the worker asks again in the turns to come.
  var stillToBeAsked: Int { worker.waiting.count }
  /// What a publication calls.
  var announce: @Sendable () -> Void { { [control] in control.announce() } }
  var isFinished: Bool { worker.isFinished }
  var isDraining: Bool { worker.isDraining }
  func drain() {
    state.stage = .draining
    control.wakeup.signal()
  }
  func stop() {
    state.stage = .stopping
    control.wakeup.signal()
  }
  func askForRoom() { admission.askForRoom() }

  // MARK: Budgets

  /// The most that a turn may read from one connection: its budget, the read that goes beyond it,
  /// and a PROXY header.
  var turnBytesMax: Int {
    worker.limits.turnBytesMax + BufferPool.blockBytes + ProxyHeaderParser.headerBytesMax
  }
  /// The most requests of one connection that a turn may answer: its budget, and one that was held
  /// before it.
  var turnRequestsMax: Int { worker.limits.turnRequestsMax + 1 }

  // MARK: Counts

  var living: Int { worker.connections.count }
  var held: Int { worker.connections.count(.held) }
  var placesTaken: Int { admission.placesTaken }
  var holdsTaken: Int { admission.holdsTaken }
  var connectionsCounted: Int { admission.connectionsCounted }
  var deadlines: Int { worker.deadlines.count }

  var countedActive: Int { counter(FrontendCounter.active) }
  var countedHeld: Int { counter(FrontendCounter.held) }
  var countedAccepted: Int { sum(FrontendCounter.accepted..<FrontendCounter.active) }
  var countedClosed: Int {
    sum(FrontendCounter.closed..<FrontendCounter.closed + CloseReason.allCases.count)
  }
  var countedRequests: Int { sum(FrontendCounter.requests..<FrontendCounter.end) }
  var countedFaults: Int { counter(FrontendCounter.internalErrors) }

  private func counter(_ index: Int) -> Int { Int(control.counters.load(index)) }
  private func sum(_ indices: Range<Int>) -> Int { indices.reduce(0) { $0 + counter($1) } }

  /// Why buffers that nobody owns are not as they must be between turns; nil where they are.
  var bufferFault: String? {
    if !worker.buffers.isClean { return "a block in the pool has bytes in it" }
    if worker.buffers.blocksLent != 0 { return "\(worker.buffers.blocksLent) blocks are lent" }
    return nil
  }

  /// What is known of somebody who lives.
  var survivor: String {
    guard let connection = worker.connections.all.first else { return "-" }
    return
      "connection \(connection.id) in \(connection.phase), since \(worker.now - connection.since), "
      + "unsent \(connection.transport.unsentBytes), received \(connection.receive.count), queued "
      + "\(connection.isQueued), answered \(connection.requests)"
  }

  /// The next turn would not wait: the poller has something to tell, or somebody is to go on.
  var isAwake: Bool {
    if !worker.queue.isEmpty || !worker.waiting.isEmpty { return true }
    // Level-triggered: whoever asks once more is told again.
    return ((try? worker.poller.wait(milliseconds: 0)) ?? 0) > 0
  }

  /// Bytes have come that were not read; those of clients that are gone as well.
  var hasUnreadBytes: Bool {
    worker.connections.all.contains { Socket.unread($0.transport.number) > 0 }
  }

  /// Somebody has two turns coming.
  var isSomebodyQueuedTwice: Bool { Set(worker.queue).count != worker.queue.count }

  // MARK: Connections

  /// The connections that came since this was asked last.
  func newConnections() -> [ServerSide] {
    let new = worker.connections.all.filter { $0.id > lastID }
    for connection in new { lastID = max(lastID, connection.id) }
    return new.map { ServerSide($0) }
  }

  /// Looks at every connection, and says what of the whole does not agree with them; nil where all
  /// does.
  func disagreement() -> String? {
    let connections = worker.connections.all
    if connections.count != living { return "\(connections.count) connections, counted \(living)" }
    let counted = connections.count { $0.countedFor != nil }
    if counted != connectionsCounted {
      return "\(counted) for clients, counted \(connectionsCounted)"
    }
    if let crowded = crowdedClient(connections) { return crowded }
    for connection in connections {
      if let fault = fault(connection) { return "connection \(connection.id) \(fault)" }
    }
    let queued = worker.queue.count { worker.connections.find(token: $0) != nil }
    if queued != connections.count(where: \.isQueued) { return "the queue is not who is queued" }
    return disagreement(of: .idle, connections) ?? disagreement(of: .held, connections)
  }

  /// A client with more connections than it may have: an IPv4 address, or all of an IPv6 network of
  /// 64 bits.
  private func crowdedClient(_ connections: [Connection]) -> String? {
    let most = worker.limits.connectionsPerAddressMax
    guard most > 0 else { return nil }
    let clients = connections.filter { $0.countedFor != nil }.map { connection in
      (connection.client.family, connection.client.high)
    }
    for client in clients where clients.count(where: { $0 == client }) > most {
      return "a client has \(clients.count { $0 == client }) connections, at most \(most)"
    }
    return nil
  }

  /// The connection without a place in reserve that has been idle for longest.
  var longestIdle: LongestIdle? {
    worker.connections.longestIdle(in: .common).map { LongestIdle($0) }
  }

  private func fault(_ connection: Connection) -> String? {
    if !worker.deadlines.isSet(connection.slot) { return "in \(connection.phase) has no deadline" }
    if worker.connections.find(token: connection.token) !== connection {
      return "is not found by its token"
    }
    if case .closed = connection.phase { return "is closed" }
    return nil
  }

  /// A list holds those of its phase, from the one that came first to the one that came last.
  private func disagreement(of list: SlotLists.List, _ all: [Connection]) -> String? {
    let listed = worker.connections.all(list)
    let count = all.count { $0.phase.list == list }
    if listed.count != count || worker.connections.count(list) != count {
      return "\(count) are \(list), listed \(listed.count)"
    }
    if listed.contains(where: { $0.phase.list != list }) { return "one listed \(list) is not" }
    for (older, younger) in zip(listed, listed.dropFirst()) where older.since > younger.since {
      return "\(younger.id) is \(list) for longer than \(older.id), and behind it"
    }
    return nil
  }
}

/// Whose turn it is to make room.
struct LongestIdle {
  private weak var connection: Connection?
  private let since: MonotonicTime
  private let requests: Int
  let address: String

  fileprivate init(_ connection: Connection) {
    self.connection = connection
    since = connection.since
    requests = connection.requests
    address = connection.peer.description
  }

  /// It has been idle ever since.
  var isUntouched: Bool {
    guard let connection, case .readingHead(.idle) = connection.phase else { return false }
    return connection.since == since && connection.requests == requests
  }
}

/// The server's side of one connection, as long as that lives.
struct ServerSide {
  let id: UInt64
  let peer: String
  let listenerIndex: Int
  private weak var connection: Connection?

  fileprivate init(_ connection: Connection) {
    id = connection.id
    peer = connection.peer.description
    listenerIndex = connection.listenerIndex
    self.connection = connection
  }

  var isLiving: Bool {
    guard let connection else { return false }
    if case .closed = connection.phase { return false }
    return true
  }

  var isLingering: Bool {
    if case .lingering = connection?.phase { true } else { false }
  }

  /// Its last answer is decided.
  var isEnding: Bool {
    switch connection?.phase {
    case .lingering, .closed, .writingResponse(then: .linger), .writingResponse(then: .close): true
    default: false
    }
  }

  /// Its socket; nil where it is closed.
  var descriptor: Int32? { isLiving ? connection?.transport.number : nil }
  /// What it has read from its socket; nil where that is closed.
  var bytesTaken: Int? { descriptor.map { Socket.received($0) - Socket.unread($0) } }
  var requests: Int { connection?.requests ?? 0 }
  var phase: String { connection.map { "\($0.phase)" } ?? "gone" }
}

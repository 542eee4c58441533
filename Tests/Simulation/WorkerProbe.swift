import Glibc
import Sys
import Telemetry

@testable import Frontend

/// The one place that looks into the frontend: its worker, stepped, and what stands in it.
final class WorkerProbe {
  private let worker: Worker
  private let state: FrontendState
  private let control: WorkerControl
  private var lastID: UInt64 = 0

  init(_ configuration: FrontendConfiguration, _ clock: HandClock) throws {
    control = try WorkerControl()
    state = FrontendState(wakeups: [control.wakeup])
    worker = try Worker(
      configuration, state: state, control: control,
      clock: WorkerClock(
        now: { clock.now }, secondsSinceEpoch: { clock.secondsSinceEpoch }))
    try worker.start()
  }

  /// Limits that only this file knows by name.
  static func tighten(_ limits: inout FrontendLimits, _ settings: Settings) {
    limits.readBudget = settings.readBudget
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
  func askForRoom() { state.askForRoom() }

  // MARK: Budgets

  /// The most that a turn may read from one connection.
  var turnBytesMax: Int { worker.limits.readBudget * (16 << 10) + (17 << 10) }
  /// The most requests of one connection that a turn may answer.
  var turnRequestsMax: Int { .max }

  // MARK: Counts

  var living: Int { worker.connections.count }
  var held: Int { worker.held }
  var placesTaken: Int { state.connectionCount }
  var holdsTaken: Int { state.heldCount }
  var deadlines: Int { worker.deadlines.count }
  var addressCounts: [SocketAddress: Int] { state.addressCounts }

  var countedActive: Int { Int(control.counters.load(FrontendCounter.active)) }
  var countedHeld: Int { Int(control.counters.load(FrontendCounter.held)) }
  var countedAccepted: Int {
    (FrontendCounter.accepted..<FrontendCounter.active).reduce(0) {
      $0 + Int(control.counters.load($1))
    }
  }
  var countedClosed: Int {
    CloseReason.allCases.reduce(0) {
      $0 + Int(control.counters.load(FrontendCounter.closed + $1.rawValue))
    }
  }
  var countedRequests: Int {
    (FrontendCounter.requests..<FrontendCounter.end).reduce(0) {
      $0 + Int(control.counters.load($1))
    }
  }

  /// Why buffers that nobody owns are not as they must be; nil where they are.
  var bufferFault: String? {
    if !worker.outbound.isEmpty { return "\(worker.outbound.count) bytes in outbound" }
    if !worker.plaintext.isEmpty { return "\(worker.plaintext.count) bytes in plaintext" }
    return nil
  }
  /// Buffers that are lent.
  var buffersLent: Int { 0 }

  // MARK: Connections

  /// The connections that came since this was asked last.
  func newConnections() -> [ServerSide] {
    let new = worker.connections.all.filter { $0.id > lastID }
    for connection in new { lastID = max(lastID, connection.id) }
    return new.map { ServerSide($0) }
  }

  /// Looks at every connection, and says what of the whole does not agree with them; nil where all does.
  func disagreement() -> String? {
    let connections = worker.connections.all
    var addresses: [SocketAddress: Int] = [:]
    for connection in connections {
      if !worker.deadlines.isSet(connection.slot) {
        return "connection \(connection.id) in \(connection.phase) has no deadline"
      }
      if worker.connections.find(token: connection.token) !== connection {
        return "connection \(connection.id) is not found by its token"
      }
      if connection.isCounted {
        var client = connection.client
        client.port = 0
        addresses[client, default: 0] += 1
      }
    }
    if connections.count != living { return "\(connections.count) connections, counted \(living)" }
    let holding = connections.count { $0.phase == .holding }
    if holding != held { return "\(holding) connections hold, counted \(held)" }
    if worker.limits.connectionsPerAddressMax > 0, addresses != addressCounts {
      return "addresses have \(addresses), counted \(addressCounts)"
    }
    return nil
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

  /// Its socket; nil where it is closed.
  var descriptor: Int32? { isLiving ? connection?.transport.socket.number : nil }
  var requests: Int { connection?.requests ?? 0 }
  var phase: String { connection.map { "\($0.phase)" } ?? "gone" }
}

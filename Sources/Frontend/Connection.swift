import HTTP1
import Sys
import TLS

/// One client's connection, from `accept` to its `CloseReason`. Confined to its worker's thread.
///
/// `advance` is its turn: it takes steps until there is nothing to do but wait, or the turn's budget is spent. Each phase has
/// one function named after it, one interest and one deadline:
///
/// ```
/// phase               waits for            deadline, from            when it is over
/// readingProxyHeader  readable, hangup     3 s, accept               closed
/// handshaking         readable             10 s, its first step      closed
/// readingHead due     readable             10 s, when it was due     close_notify, closed
///             begun   readable             10 s, its first byte      408, lingering
///             idle    readable             75 s, the last answer     close_notify, closed
/// holding             the peer's end       --hold, its head          503
/// writingResponse     writable             10 s, the answer          closed
/// discardingBody      readable             5 s, the answer           lingering
/// lingering           readable             10 s, our FIN             closed
/// ```
///
/// Bytes may be unsent in any phase (a flight, tickets, the answer to a key update): `send` takes care of them after each
/// step, and while some remain the connection waits for the client to take them, reads nothing more, and the phase's
/// deadline goes on.
final class Connection {
  /// Its place in the worker's table, and in the deadline queue.
  let slot: Int
  /// What it is registered with: the slot, and which of the slot's connections this is.
  let token: UInt64
  /// For logs: counts connections over all workers.
  let id: UInt64
  let listenerIndex: Int
  /// The other end of the socket: the client, or the load balancer before it.
  let peer: SocketAddress
  /// The place it takes up among all connections.
  let place: Admission.Place

  let transport: Transport
  private(set) var phase: ConnectionPhase
  /// What the phase's deadline counts from.
  private(set) var since: MonotonicTime
  let receive: ByteBuffer
  var parser: RequestParser
  var body = BodyDiscard.none
  /// Requests answered so far.
  var requests = 0
  /// Requests that may still be answered in this turn.
  var requestsLeft = 0
  var proxy = ProxyState()
  /// Whom it is counted for; nil where it is not.
  var countedFor: Admission.Client?
  /// It has a turn coming, whatever its descriptor does.
  var isQueued = false
  /// Its session has record buffers that the worker will take from it.
  var isWarm = false
  /// What its descriptor is registered for.
  private(set) var interest: Interest

  /// - Parameter place: is given back by `close`.
  init(
    slot: Int, token: UInt64, id: UInt64, listenerIndex: Int, peer: SocketAddress,
    place: Admission.Place, transport: Transport, receive: ByteBuffer,
    phase: ConnectionPhase, limits: MessageLimits, now: MonotonicTime
  ) {
    self.slot = slot
    self.token = token
    self.id = id
    self.listenerIndex = listenerIndex
    self.peer = peer
    self.place = place
    self.transport = transport
    self.receive = receive
    self.phase = phase
    interest = phase.interest
    parser = RequestParser(limits: limits)
    since = now
  }

  /// The client as far as we know it: the PROXY header's word, or the other end of the socket.
  var client: SocketAddress { proxy.client ?? peer }

  /// Changes the phase: the one place where it does, and where the table's lists and the count of held requests follow.
  func enter(_ next: ConnectionPhase, since: MonotonicTime, _ worker: Worker) {
    let (old, new) = (phase.list, next.list)
    phase = next
    self.since = since
    if old != new { worker.move(self, from: old, to: new) }
  }

  // MARK: A turn

  /// Goes on until there is nothing to do but wait, or the others come first.
  func advance(on worker: Worker) {
    transport.beginTurn(worker.limits)
    requestsLeft = worker.limits.turnRequestsMax
    var step = send(.again, worker)
    while step == .again { step = send(takeStep(worker), worker) }
    settle(worker, step)
  }

  @inline(__always)
  private func takeStep(_ worker: Worker) -> Step {
    switch phase {
    case .readingProxyHeader: readProxyHeader(worker)
    case .handshaking: handshake(worker)
    case .readingHead: readHead(worker)
    case .holding: hold()
    case .writingResponse(let next): writeResponse(worker, then: next)
    case .discardingBody: discardBody(worker)
    case .lingering(let reason, let finIsSent): linger(worker, reason, finIsSent: finIsSent)
    case .closed: .closed
    }
  }

  /// Sends what the step has gathered; what the client does not take is waited for before anything else happens.
  @inline(__always)
  private func send(_ step: Step, _ worker: Worker) -> Step {
    if step == .closed { return .closed }
    return switch transport.send() {
    case .sent: step
    case .blocked: .wait
    case .broken: breakOff(on: worker)
    }
  }

  /// Ends the turn: gives the worker's blocks back, and says what to wait for and how long.
  private func settle(_ worker: Worker, _ step: Step) {
    if let fault = worker.buffers.faults.take() {
      worker.report(fault, self)
      if step != .closed { close(worker, .internalError) }
      return
    }
    if step == .closed { return }
    receive.settle(spare: Transport.readBytesMin)
    transport.settle()
    worker.keepWarm(self)
    worker.deadlines.set(
      slot, at: since + phase.timeout(worker.limits, isDraining: worker.isDraining))
    if step == .yield {
      worker.resumeLater(self)
    } else {
      watch(worker)
    }
  }

  private func watch(_ worker: Worker) {
    var wanted = phase.interest
    if transport.unsentBytes > 0 {
      wanted.remove(.read)
      wanted.insert(.write)
    }
    if wanted != interest {
      interest = wanted
      worker.register(self, wanted)
    }
  }

  /// The phase has lasted as long as it may. What has come in time is looked at first: the worker itself may be late.
  func expire(on worker: Worker) {
    if !isQueued, phase.interest.contains(.read), transport.lookAgain() {
      advance(on: worker)
      let timeout = phase.timeout(worker.limits, isDraining: worker.isDraining)
      if since + timeout > worker.now { return }
    }
    switch phase {
    case .readingProxyHeader: close(worker, .proxyHeaderTimeout)
    case .handshaking: close(worker, .handshakeTimeout)
    case .readingHead(.begun): refuseLateHead(worker)
    case .readingHead where worker.isDraining: closeGracefully(worker, .drained)
    case .readingHead(.due): closeGracefully(worker, .headTimeout)
    case .readingHead(.idle): closeGracefully(worker, .keepAliveTimeout)
    case .holding: answerHeld(worker, mayHold: false)
    case .writingResponse: close(worker, .writeTimeout)
    case .discardingBody: beginLingering(worker, .bodyTimeout)
    case .lingering(let reason, _): close(worker, reason)
    case .closed: return
    }
    // What is to be said leaves now; what comes after it is for the next turn of the loop.
    if case .closed = phase { return }
    settle(worker, send(.yield, worker))
  }

  /// Gives the record buffers back: others had their turn since.
  func coolDown() {
    isWarm = false
    transport.coolDown()
  }
}

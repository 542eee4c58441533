import HTTP1
import Sys
import TLS

/// One client's connection, from `accept` to its `CloseReason`. Confined to its worker's thread.
///
/// `advance` is the one place that decides what happens next; each phase has one function named after it, one interest
/// and one deadline, and both follow from the phase alone:
///
/// ```
/// phase               waits for            deadline, from            when it is over
/// readingProxyHeader  readable             3 s, accept               closed
/// handshaking         readable             10 s, its first step      closed
/// readingHead         readable             10 s, when it was due     408, lingering (silent: closed)
///   (idle)            readable             75 s, the last answer     close_notify, closed
/// holding             the peer's hangup    --hold, its head          503
/// writingResponse     writable             10 s, the first refusal   closed
/// discardingBody      readable             5 s, the answer           lingering
/// lingering           readable             10 s, our FIN             closed
/// ```
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

  var transport: Transport
  /// The transport has a session, and what is sent is encrypted first.
  var isEncrypted = false
  var phase: ConnectionPhase
  let receive = ReceiveBuffer()
  var parser: RequestParser
  var body = BodyDiscard.none
  /// The descriptor may have bytes that were not read yet.
  var mayRead = true
  /// When the current phase began to wait: what deadlines count from.
  var phaseStart: MonotonicTime
  /// When the head being answered was whole, for the access log.
  var requestStart: MonotonicTime
  /// Requests answered so far.
  var requests = 0
  /// Since when the current request is held; nil where it never was.
  var heldSince: MonotonicTime?
  /// The hold of the current request is over: the next answer is final.
  var isHoldOver = false
  var proxy = ProxyState()
  /// Counted for its client's address.
  var isCounted = false
  /// Our FIN is on its way.
  var isWritingShutDown = false

  /// Its session has record buffers that the worker will take from it.
  var isWarm = false

  /// The peer has shut down its side; known only in phases that ask for it.
  var peerHasFinished = false

  /// What its descriptor is registered for.
  private(set) var interest: Interest

  init(
    slot: Int, token: UInt64, id: UInt64, listenerIndex: Int, peer: SocketAddress,
    socket: consuming StreamSocket, phase: ConnectionPhase, limits: MessageLimits,
    now: MonotonicTime
  ) {
    self.slot = slot
    self.token = token
    self.id = id
    self.listenerIndex = listenerIndex
    self.peer = peer
    transport = Transport(socket: socket)
    self.phase = phase
    interest = Self.interest(of: phase)
    parser = RequestParser(limits: limits)
    phaseStart = now
    requestStart = now
  }

  /// The client as far as we know it: the PROXY header's word, or the other end of the socket.
  var client: SocketAddress { proxy.client ?? peer }

  /// Waits for the first byte of another request.
  var isIdle: Bool { isReadingHead && receive.isEmpty && requests > 0 }

  @inline(__always)
  var isReadingHead: Bool {
    if case .readingHead = phase { true } else { false }
  }

  // MARK: The one switch

  /// Goes on until there is nothing to do but wait: the connection's turn in its worker's loop.
  func advance(on worker: Worker) {
    var step = transport.hasUnsentBytes ? sendUnsent(worker) : .again
    while step == .again {
      switch phase {
      case .readingProxyHeader: step = readProxyHeader(worker)
      case .handshaking: step = handshake(worker)
      case .readingHead: step = readHead(worker)
      case .holding: step = hold(worker)
      case .writingResponse(let next): step = writeResponse(worker, then: next)
      case .discardingBody: step = discardBody(worker)
      case .lingering(let reason): step = linger(worker, reason)
      case .closed: return
      }
    }
    settle(worker, step)
  }

  /// The phase's deadline is over.
  func expire(on worker: Worker) {
    switch phase {
    case .readingProxyHeader: close(worker, .proxyHeaderTimeout)
    case .handshaking: close(worker, .handshakeTimeout)
    case .readingHead where worker.isDraining && receive.isEmpty: closeGracefully(worker, .drained)
    case .readingHead where isIdle: closeGracefully(worker, .keepAliveTimeout)
    case .readingHead where receive.isEmpty: closeGracefully(worker, .headTimeout)
    case .readingHead: refuseLateHead(worker)
    case .holding: endHold(worker)
    case .writingResponse: close(worker, .writeTimeout)
    case .discardingBody:
      beginLingering(worker, .bodyTimeout)
      advance(on: worker)
    case .lingering(let reason): close(worker, reason)
    case .closed: break
    }
  }

  /// The descriptor is broken: both directions are gone.
  func breakOff(on worker: Worker) {
    if phase == .handshaking, isEncrypted {
      // What came before the end is still there, and tells why: a client that refuses our
      // certificate sends its alert, and resets with what it did not read of our flight.
      mayRead = true
      advance(on: worker)
    }
    switch phase {
    case .lingering(let reason): close(worker, reason)
    case .holding: close(worker, .abandonedHold)
    case .readingProxyHeader, .handshaking: close(worker, .noData)
    case .readingHead where requests == 0 && receive.isEmpty: close(worker, .noData)
    default: close(worker, .reset)
    }
  }

  // MARK: Waiting

  /// Ends the turn: sends what is gathered, gives the worker's block back, and says what to wait for and how long.
  private func settle(_ worker: Worker, _ step: Step) {
    if !worker.outbound.isEmpty, !flush(worker) { return }
    receive.settle()
    if case .closed = phase { return }
    worker.keepWarm(self)
    if step == .yield { worker.resumeLater(self) }
    let wanted = wantedInterest
    if wanted != interest {
      interest = wanted
      worker.register(self, wanted)
    }
    worker.deadlines.set(slot, at: deadline(worker))
  }

  /// Gives the record buffers back: others had their turn since.
  func coolDown() {
    isWarm = false
    transport.session?.releaseBuffers()
  }

  private var wantedInterest: Interest {
    transport.hasUnsentBytes ? .write : Self.interest(of: phase)
  }

  private static func interest(of phase: ConnectionPhase) -> Interest {
    switch phase {
    // A part of a header stays in the kernel, where only the hangup tells that nothing more will come.
    case .readingProxyHeader: [.read, .hangup]
    case .handshaking, .readingHead, .discardingBody, .lingering: .read
    case .holding: .hangup
    case .writingResponse: .write
    case .closed: []
    }
  }

  private func deadline(_ worker: Worker) -> MonotonicTime {
    let timeout =
      switch phase {
      case .readingProxyHeader: worker.limits.proxyHeaderTimeout
      case .handshaking: worker.limits.handshakeTimeout
      case .readingHead where worker.isDraining && receive.isEmpty:
        worker.limits.drainSilenceTimeout
      case .readingHead where isIdle: worker.limits.keepAliveTimeout
      case .readingHead: worker.limits.headTimeout
      case .holding: worker.limits.holdTimeout
      case .writingResponse: worker.limits.writeTimeout
      case .discardingBody: worker.limits.discardTimeout
      case .lingering, .closed: worker.limits.lingerTimeout
      }
    return phaseStart + timeout
  }

  /// Changes the phase, and starts its clock.
  func enter(_ next: ConnectionPhase, _ worker: Worker) {
    phase = next
    phaseStart = worker.now
  }

  // MARK: Sending

  /// Sends what is gathered; false where the connection broke and is closed.
  func flush(_ worker: Worker) -> Bool {
    if case .failed = transport.flush(worker.outbound) {
      breakOff(on: worker)
      return false
    }
    return true
  }

  private func sendUnsent(_ worker: Worker) -> Step {
    guard flush(worker) else { return .wait }
    return transport.hasUnsentBytes ? .wait : .again
  }
}

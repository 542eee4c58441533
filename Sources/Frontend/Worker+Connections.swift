import Sys
import TLS
import Telemetry

// What a worker does for its connections: from `open` to `remove`.

extension Worker {
  /// Takes an accepted socket in.
  ///
  /// - Parameter place: the connection gives it back when it is closed.
  func open(
    _ socket: consuming StreamSocket, peer: SocketAddress, listenerIndex: Int,
    place: Admission.Place
  ) {
    let listener = listeners[listenerIndex]
    let (slot, token) = connections.reserve()
    let transport = Transport(
      socket: socket, pool: buffers, unsentBytesMax: limits.unsentBytesMax)
    let number = transport.number
    let receive = ByteBuffer(
      pool: buffers, bytesMax: limits.message.headBytesMax + BufferPool.blockBytes)
    let connection = Connection(
      slot: slot, token: token, id: state.nextConnectionID(), listenerIndex: listenerIndex,
      peer: peer, place: place, transport: transport, receive: receive,
      phase: listener.firstPhase, limits: limits.message, now: now)
    connections.insert(connection)
    control.counters.add(acceptedPlaces[listenerIndex])
    control.counters.set(FrontendCounter.active, to: UInt64(connections.count))
    if listener.refusesHeader(from: peer) {
      refuseProxySource(peer)
      connection.close(self, .proxyHeader)
      return
    }
    // Behind a load balancer all come from its address: whose connection it is, the PROXY header will tell.
    guard !listener.proxyProtocol.isOff || listener.mayUseReserve || admit(connection) else {
      connection.close(self, .addressLimit)
      return
    }
    do {
      try watch(number, connection.interest, token: token)
      deadlines.set(slot, at: now + connection.phase.timeout(limits, isDraining: isDraining))
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
      try poller.modify(connection.transport.number, interest, token: connection.token)
    } catch {
      log.error("a connection cannot be watched", metadata: ["reason": "\(error)"])
      connection.close(self, .reset)
    }
  }

  /// A connection has changed its phase, and with it the list that it is in.
  func move(
    _ connection: Connection, from old: SlotLists.List?, to new: SlotLists.List?
  ) {
    connections.move(connection, to: new)
    if old != .held && new != .held { return }
    if old == .held { admission.giveBackHold() }
    if new == .held { control.counters.add(FrontendCounter.heldTotal) }
    control.counters.set(FrontendCounter.held, to: UInt64(connections.count(.held)))
  }

  /// Forgets a closed connection; its socket is closed when the last reference goes, at the end of its turn.
  func remove(_ connection: Connection, _ reason: CloseReason) {
    guard connections.remove(connection) else {
      return buffers.faults.report("a connection is removed once")
    }
    deadlines.clear(connection.slot)
    if let client = connection.countedFor { admission.release(client) }
    admission.giveBack(connection.place)
    control.counters.set(FrontendCounter.active, to: UInt64(connections.count))
    control.counters.add(FrontendCounter.closed + reason.rawValue)
    logClose(connection, reason)
    acceptor.connectionClosed(self)
  }

  /// Closes the connection that has been idle for longest, to make room; false where none is idle.
  ///
  /// - Parameter place: whose place is wanted; nil where it is the descriptor.
  func reclaimIdle(in place: Admission.Place?) -> Bool {
    while let idle = connections.longestIdle(in: place) {
      if !idle.transport.lookAgain() {
        idle.closeGracefully(self, .reclaimed)
        return true
      }
      // Its next request is here, and no event has told yet: it has its turn when the others have had theirs.
      idle.enter(.readingHead(.begun), since: now, self)
      deadlines.set(idle.slot, at: now + idle.phase.timeout(limits, isDraining: isDraining))
      resumeLater(idle)
    }
    return false
  }

  /// Another worker has a connection to take and none that is idle: one of ours goes, and who comes first takes the place.
  func makeRoomForOthers() {
    guard reclaimIdle(in: .common) else { return admission.returnRoomRequest() }
    for index in listeners.indices { acceptor.accept(index, budget: 1, on: self) }
  }

  /// The connection goes on after everybody else had a turn. One that is late has a turn for that beside the one it has coming,
  /// and is not queued again.
  func resumeLater(_ connection: Connection) {
    if connection.isQueued { return }
    connection.isQueued = true
    queue.append(connection.token)
  }

  /// The TLS context for new connections of a listener: the newest that was published.
  func tlsContext(for listenerIndex: Int) -> TLSContext? {
    contexts[listenerIndex].current()
  }

  /// Counts the connection for its client; false where that one has as many as it may.
  func admit(_ connection: Connection) -> Bool {
    switch admission.admit(connection.client) {
    case .uncounted: return true
    case .counted(let client):
      connection.countedFor = client
      return true
    case .refused: return false
    }
  }

  /// Lets the connection's session keep its record buffers, and takes those of the one that had them longest.
  @inline(__always)
  func keepWarm(_ connection: Connection) {
    if connection.isWarm || !connection.transport.hasSession { return }
    connection.isWarm = true
    if let token = warm.replaceOldest(with: connection.token) {
      connections.find(token: token)?.coolDown()
    }
  }
}

import Sys

/// Takes connections from the listeners of one worker, as long as there is room for them.
///
/// Workers share each listening socket; the kernel wakes one of them for a connection (EPOLLEXCLUSIVE). At the limit of
/// connections, or out of descriptors, an idle connection is closed to make room; where none is idle, the listeners
/// are taken out of the poller until a connection ends or a pause, which doubles, is over, and the other workers are
/// asked to close an idle one of theirs. New connections wait in the kernel's backlog meanwhile, and nothing spins.
final class Acceptor {
  private static let firstPause: Duration = .milliseconds(100)
  private static let lastPause: Duration = .seconds(1)
  private static let tokenMark: UInt64 = 1 << 63

  private enum Mode {
    case watching
    /// Not watching; to be tried again then, or when a connection ends.
    case paused(until: MonotonicTime)
    case stopped
  }

  private unowned let worker: Worker
  private var mode = Mode.stopped
  private var pause = Acceptor.firstPause
  /// The other workers were asked for an idle connection's place.
  private var hasAsked = false
  private var scarcityLog = LogLimiter()

  init(_ worker: Worker) {
    self.worker = worker
  }

  /// The listener that an event is for; nil where it is for a connection.
  @inline(__always)
  static func listenerIndex(of token: UInt64) -> Int? {
    token & tokenMark == 0 ? nil : Int(token & ~tokenMark)
  }

  /// Begins to watch the listeners.
  func start() throws(SystemError) {
    for (index, listener) in worker.listeners.enumerated() {
      try worker.watch(
        listener.socket.number, [.read, .exclusive], token: Self.tokenMark | UInt64(index))
    }
    mode = .watching
  }

  /// Watches no listener any more, for good.
  func stop() {
    unwatch()
    mode = .stopped
  }

  private func unwatch() {
    guard case .watching = mode else { return }
    for listener in worker.listeners { worker.unwatch(listener.socket.number) }
  }

  /// Takes up to `budget` connections from a listener; the poller tells again of what is left.
  func accept(_ index: Int, budget: Int) {
    let listener = worker.listeners[index]
    for _ in 0..<budget {
      guard case .watching = mode else { return }
      guard makeRoom() else { return pauseAccepting() }
      switch listener.socket.accept() {
      case .connection(let socket, let peer):
        pause = Self.firstPause
        if hasAsked { withdrawRequest() }
        worker.open(socket, peer: peer, listenerIndex: index)
      case .aborted:
        worker.state.releaseConnection()
      case .none:
        worker.state.releaseConnection()
        return
      case .scarce(let error):
        worker.state.releaseConnection()
        reportScarcity(error)
        // Each idle connection that goes frees the descriptor that the next accept needs.
        if !worker.reclaimIdle() { return pauseAccepting() }
      }
    }
  }

  /// Reserves a place for one more connection, if need be that of an idle one.
  private func makeRoom() -> Bool {
    if worker.state.reserveConnection(limit: worker.limits.connectionsMax) { return true }
    worker.control.counters.add(FrontendCounter.limitReached)
    return worker.reclaimIdle()
      && worker.state.reserveConnection(limit: worker.limits.connectionsMax)
  }

  private func pauseAccepting() {
    hasAsked = true
    worker.state.askForRoom()
    unwatch()
    mode = .paused(until: worker.now + pause)
    pause = min(pause * 2, Self.lastPause)
    worker.control.counters.add(FrontendCounter.acceptPauses)
  }

  /// There is room; a request that nobody could meet must not cost an idle connection later.
  private func withdrawRequest() {
    hasAsked = false
    _ = worker.state.takeRoomRequest()
  }

  /// A connection ended: there is room again.
  func connectionClosed() {
    if case .paused = mode { mode = .paused(until: worker.now) }
  }

  /// Ends a pause that is over.
  func retry() {
    guard case .paused(let time) = mode, time <= worker.now else { return }
    do {
      try start()
    } catch {
      worker.log.error("listeners cannot be watched", metadata: ["reason": "\(error)"])
      mode = .paused(until: worker.now + Self.lastPause)
    }
  }

  /// How long the worker may sleep before `retry` is due; -1 for ever.
  func retryMilliseconds() -> Int32 {
    guard case .paused(let time) = mode else { return -1 }
    return Int32(clamping: max(0, (time - worker.now).wholeNanoseconds / 1_000_000 + 1))
  }

  private func reportScarcity(_ error: SystemError) {
    worker.control.counters.add(FrontendCounter.acceptScarce)
    guard let suppressed = scarcityLog.permit(worker.now) else { return }
    worker.log.warning(
      "cannot accept connections; raise LimitNOFILE or lower --max-connections",
      metadata: ["reason": "\(error)", "suppressed": "\(suppressed)"])
  }
}

import Sys

/// Takes connections from the listeners of one worker, as long as there is room for them.
///
/// Workers share each listening socket; the kernel wakes one of them for a connection (EPOLLEXCLUSIVE). At the limit of
/// connections, or out of descriptors, the connection that was idle for longest is closed to make room; where none is idle, the
/// listener is taken out of the poller until a connection ends or a pause, which doubles, is over, and the other workers are
/// asked to close an idle one of theirs. New connections wait in the kernel's backlog meanwhile, and nothing spins.
/// Listeners that may use the reserve go on.
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

  /// One for each listener.
  private var modes: [Mode]
  private var pausedCount = 0
  private var pause = Acceptor.firstPause
  /// The other workers were asked for an idle connection's place.
  private var hasAsked = false
  private var scarcityLog = LogLimiter()

  init(listeners: Int) {
    modes = Array(repeating: .stopped, count: listeners)
  }

  /// The listener that an event is for; nil where it is for a connection.
  @inline(__always)
  static func listenerIndex(of token: UInt64) -> Int? {
    token & tokenMark == 0 ? nil : Int(token & ~tokenMark)
  }

  /// Begins to watch the listeners.
  func start(_ worker: Worker) throws(SystemError) {
    for index in modes.indices { try start(index, worker) }
  }

  private func start(_ index: Int, _ worker: Worker) throws(SystemError) {
    let socket = worker.listeners[index].socket
    try worker.watch(socket.number, [.read, .exclusive], token: Self.tokenMark | UInt64(index))
    enter(.watching, index)
  }

  /// Watches no listener any more, for good.
  func stop(_ worker: Worker) {
    for index in modes.indices { leave(index, for: .stopped, worker) }
  }

  private func leave(_ index: Int, for mode: Mode, _ worker: Worker) {
    if case .watching = modes[index] { worker.unwatch(worker.listeners[index].socket.number) }
    enter(mode, index)
  }

  private func enter(_ mode: Mode, _ index: Int) {
    if case .paused = modes[index] { pausedCount -= 1 }
    modes[index] = mode
    if case .paused = mode { pausedCount += 1 }
  }

  // MARK: Accepting

  /// Takes up to `budget` connections from a listener; the poller tells again of what is left.
  func accept(_ index: Int, budget: Int, on worker: Worker) {
    let listener = worker.listeners[index]
    for _ in 0..<budget {
      guard case .watching = modes[index] else { return }
      var taken = worker.admission.takePlace(mayUseReserve: listener.mayUseReserve)
      if taken == nil {
        // One goes for one that comes, and none for nobody.
        if listener.socket.connectionsWaiting == 0 { return }
        taken = makeRoom(listener, worker)
      }
      guard let place = taken else { return pauseAccepting(index, worker) }
      switch listener.socket.accept() {
      case .connection(let socket, let peer):
        pause = Self.firstPause
        if hasAsked { withdrawRequest(worker) }
        worker.open(socket, peer: peer, listenerIndex: index, place: place)
      case .aborted:
        worker.admission.giveBack(place)
      case .none:
        worker.admission.giveBack(place)
        return
      case .scarce(let error):
        worker.admission.giveBack(place)
        reportScarcity(error, worker)
        // Each idle connection that goes frees the descriptor that the next accept needs.
        if !worker.reclaimIdle(in: nil) { return pauseAccepting(index, worker) }
      }
    }
  }

  /// The place of the connection that was idle for longest.
  private func makeRoom(_ listener: Listener, _ worker: Worker) -> Admission.Place? {
    worker.control.counters.add(FrontendCounter.limitReached)
    guard worker.reclaimIdle(in: .common) else { return nil }
    return worker.admission.takePlace(mayUseReserve: listener.mayUseReserve)
  }

  private func pauseAccepting(_ index: Int, _ worker: Worker) {
    hasAsked = true
    worker.admission.askForRoom()
    leave(index, for: .paused(until: worker.now + pause), worker)
    pause = min(pause * 2, Self.lastPause)
    worker.control.counters.add(FrontendCounter.acceptPauses)
  }

  /// There is room; a request that nobody could meet must not cost an idle connection later.
  private func withdrawRequest(_ worker: Worker) {
    hasAsked = false
    _ = worker.admission.takeRoomRequest()
  }

  // MARK: Pauses

  /// A connection ended: there is room again.
  func connectionClosed(_ worker: Worker) {
    guard pausedCount > 0 else { return }
    for index in modes.indices {
      if case .paused = modes[index] { modes[index] = .paused(until: worker.now) }
    }
  }

  /// Ends the pauses that are over.
  func retry(_ worker: Worker) {
    guard pausedCount > 0 else { return }
    for index in modes.indices {
      guard case .paused(let time) = modes[index], time <= worker.now else { continue }
      do {
        try start(index, worker)
      } catch {
        worker.log.error("a listener cannot be watched", metadata: ["reason": "\(error)"])
        modes[index] = .paused(until: worker.now + Self.lastPause)
      }
    }
  }

  /// How long the worker may sleep before `retry` is due; -1 for ever.
  func retryMilliseconds(now: MonotonicTime) -> Int32 {
    guard pausedCount > 0 else { return -1 }
    let times = modes.compactMap { mode in
      if case .paused(let time) = mode { time } else { nil }
    }
    guard let next = times.min() else { return -1 }
    return Int32(clamping: max(0, (next - now).wholeNanoseconds / 1_000_000 + 1))
  }

  private func reportScarcity(_ error: SystemError, _ worker: Worker) {
    worker.control.counters.add(FrontendCounter.acceptScarce)
    guard let suppressed = scarcityLog.permit(worker.now) else { return }
    worker.log.warning(
      "cannot accept connections; raise LimitNOFILE or lower --max-connections",
      metadata: ["reason": "\(error)", "suppressed": "\(suppressed)"])
  }
}

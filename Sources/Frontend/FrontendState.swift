import Sys
import Synchronization
import Telemetry

/// What the workers have in common: counts, and whether the end has come. Atomics, read once a wakeup or once an accept.
final class FrontendState: Sendable {
  enum Stage: Int, AtomicRepresentable {
    case running
    /// Take no more, finish what is there.
    case draining
    /// Close everything.
    case stopping
  }

  var workers: Int { wakeups.count }
  private let wakeups: [Wakeup]
  private let currentStage = Atomic<Stage>(.running)
  private let connections = Atomic<Int>(0)
  private let held = Atomic<Int>(0)
  private let accepting: Atomic<Int>
  private let roomIsWanted = Atomic<Bool>(false)
  private let lastConnectionID = Atomic<UInt64>(0)
  /// Only used where there is a limit per address.
  private let addresses = Mutex<[SocketAddress: Int]>([:])

  /// - Parameter wakeups: one of each worker.
  init(wakeups: [Wakeup]) {
    self.wakeups = wakeups
    accepting = Atomic(wakeups.count)
  }

  var stage: Stage {
    get { currentStage.load(ordering: .acquiring) }
    set { currentStage.store(newValue, ordering: .releasing) }
  }

  func nextConnectionID() -> UInt64 {
    lastConnectionID.wrappingAdd(1, ordering: .relaxed).newValue
  }

  /// Takes a place for a connection; false where all are taken.
  func reserveConnection(limit: Int) -> Bool {
    if connections.wrappingAdd(1, ordering: .relaxed).newValue <= limit { return true }
    releaseConnection()
    return false
  }

  func releaseConnection() {
    connections.wrappingSubtract(1, ordering: .relaxed)
  }

  /// Whether another request may be held, as far as can be told without taking its place.
  func hasHoldLeft(limit: Int) -> Bool {
    held.load(ordering: .relaxed) < limit
  }

  /// Takes a place among the held requests; false where all are taken.
  func reserveHold(limit: Int) -> Bool {
    if held.wrappingAdd(1, ordering: .relaxed).newValue <= limit { return true }
    releaseHold()
    return false
  }

  func releaseHold() {
    held.wrappingSubtract(1, ordering: .relaxed)
  }

  /// Asks all workers for an idle connection's place: the one who asks has none to give.
  func askForRoom() {
    roomIsWanted.store(true, ordering: .releasing)
    for wakeup in wakeups { wakeup.signal() }
  }

  /// Whether a place is asked for; whoever is told so takes the request over.
  func takeRoomRequest() -> Bool {
    roomIsWanted.load(ordering: .relaxed)
      && roomIsWanted.exchange(false, ordering: .acquiringAndReleasing)
  }

  /// Leaves the request to the others, who are awake for it already.
  func returnRoomRequest() {
    roomIsWanted.store(true, ordering: .releasing)
  }

  /// A worker accepts no more. After the last of them the sockets stop listening, so that the kernel refuses new
  /// connections at once and does not let them wait in vain.
  func stoppedAccepting(_ listeners: [Listener]) {
    guard accepting.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == 0 else {
      return
    }
    for listener in listeners { listener.socket.stop() }
  }

  /// Counts a connection for its client; false where `limit` (0: none) is reached.
  func admit(_ client: SocketAddress, limit: Int) -> Bool {
    guard limit > 0 else { return true }
    return addresses.withLock { counts in
      counts[client.withoutPort, default: 0] += 1
      return counts[client.withoutPort, default: 0] <= limit
    }
  }

  /// Takes back what `admit` counted, whatever it answered.
  func release(_ client: SocketAddress, limit: Int) {
    guard limit > 0 else { return }
    addresses.withLock { counts in
      let left = counts[client.withoutPort, default: 0] - 1
      counts[client.withoutPort] = left > 0 ? left : nil
    }
  }
}

extension SocketAddress {
  fileprivate var withoutPort: SocketAddress {
    var address = self
    address.port = 0
    return address
  }
}

/// What reaches one worker from other threads: a wakeup; and what leaves it: its counts.
final class WorkerControl: Sendable {
  let wakeup: Wakeup
  let counters = CounterBlock()

  init() throws(SystemError) {
    wakeup = try Wakeup()
  }
}

import Sys
import Synchronization
import Telemetry

/// Where the life of the whole frontend stands, for all workers: whether the end has come, and who still accepts.
final class FrontendState: Sendable {
  enum Stage: Int, AtomicRepresentable {
    case running
    /// Take no more, finish what is there.
    case draining
    /// Close everything.
    case stopping
  }

  private let currentStage = Atomic<Stage>(.running)
  private let accepting: Atomic<Int>
  private let lastConnectionID = Atomic<UInt64>(0)

  /// - Parameter workers: how many will say that they have stopped accepting.
  init(workers: Int) {
    accepting = Atomic(workers)
  }

  var stage: Stage {
    get { currentStage.load(ordering: .acquiring) }
    set { currentStage.store(newValue, ordering: .releasing) }
  }

  func nextConnectionID() -> UInt64 {
    lastConnectionID.wrappingAdd(1, ordering: .relaxed).newValue
  }

  /// A worker accepts no more. After the last of them the sockets stop listening, so that the kernel refuses new
  /// connections at once and does not let them wait in vain.
  func stoppedAccepting(_ listeners: [Listener]) {
    guard accepting.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == 0 else {
      return
    }
    for listener in listeners { listener.socket.stop() }
  }
}

/// What reaches one worker from other threads: a wakeup, and the news that something was published; and what leaves it: its counts.
final class WorkerControl: Sendable {
  let wakeup: Wakeup
  let counters = CounterBlock()
  private let hasNews = Atomic<Bool>(false)

  init() throws(SystemError) {
    wakeup = try Wakeup()
  }

  /// Something was published that a held request waits for.
  func announce() {
    hasNews.store(true, ordering: .releasing)
    wakeup.signal()
  }

  /// Whether something was published since the last call.
  func takeNews() -> Bool {
    hasNews.load(ordering: .relaxed) && hasNews.exchange(false, ordering: .acquiringAndReleasing)
  }
}

package import Sys
import Synchronization
package import Telemetry

/// The frontend: its workers, started, woken, drained and joined together.
package final class WorkerPool: Sendable {
  private let configuration: FrontendConfiguration
  private let state: FrontendState
  private let admission: Admission
  private let controls: [WorkerControl]
  private let running: Atomic<Int>
  private let threads = Mutex<[WorkerThread]>([])
  private let failure = Mutex<SystemError?>(nil)
  /// Signalled when the last worker has ended.
  package let finished: Wakeup

  /// - Throws: where the system has no room for the workers' descriptors.
  package init(_ configuration: FrontendConfiguration) throws(SystemError) {
    self.configuration = configuration
    var controls: [WorkerControl] = []
    for _ in 0..<configuration.workers { controls.append(try WorkerControl()) }
    self.controls = controls
    state = FrontendState(workers: configuration.workers)
    admission = Admission(configuration.limits, wakeups: controls.map(\.wakeup))
    running = Atomic(configuration.workers)
    finished = try Wakeup()
  }

  /// Starts a thread for each worker. The listeners are bound already: connections wait in their backlogs until now.
  package func start() throws(SystemError) {
    for (index, control) in controls.enumerated() {
      let (configuration, state) = (self.configuration, self.state)
      let thread = try WorkerThread(named: "worker-\(index)") { [self] in
        do throws(SystemError) {
          let worker = try Worker(
            configuration, state: state, admission: admission, control: control)
          try worker.start()
          worker.run()
        } catch {
          // With a part of what was asked for nothing is served: the others end as well.
          failure.withLock { $0 = error }
          drain()
        }
        if running.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == 0 {
          finished.signal()
        }
      }
      threads.withLock { $0.append(thread) }
    }
  }

  /// Why a worker could not begin to serve; all of them end then, and `finished` is signalled. Nil where all did.
  package var startFailure: SystemError? { failure.withLock { $0 } }

  /// Wakes every worker: something was published that a held request waits for.
  package func wake() {
    for control in controls { control.announce() }
  }

  /// Takes no more connections, finishes what is under way, and ends the workers; `finished` tells when.
  package func drain() {
    state.stage = .draining
    for control in controls { control.wakeup.signal() }
  }

  /// Closes whatever a drain has not finished.
  package func stop() {
    state.stage = .stopping
    for control in controls { control.wakeup.signal() }
  }

  /// Waits for the workers' threads; to be called after `finished` was signalled.
  package func join() {
    for thread in threads.withLock({ $0 }) { thread.join() }
  }

  /// The counts of all workers, for `/metrics`.
  package func metrics() -> [MetricFamily] {
    FrontendCounter.families(
      controls.map(\.counters), listeners: configuration.listeners.map(\.name),
      log: configuration.logWriter)
  }
}

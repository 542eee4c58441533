import Frontend
import Glibc
import Sys
import Telemetry

/// The main thread after the start: signals in, and the end of the workers.
///
/// SIGTERM, SIGINT: drain; the second one exits at once. SIGHUP: reload. SIGUSR1, SIGUSR2: logging on, off.
struct SignalLoop {
  private enum Token {
    static let signals: UInt64 = 1
    static let finished: UInt64 = 2
  }

  let pool: WorkerPool
  let log: Log
  let logWriter: LogWriter
  let drainTimeout: Duration

  /// Returns when every worker has ended.
  func run(_ signals: SignalReader, reload: () -> Void) throws(SystemError) {
    var poller = try Poller()
    try poller.add(signals.number, .read, token: Token.signals)
    try poller.add(pool.finished.number, .read, token: Token.finished)
    var drainEnd: MonotonicTime?
    while true {
      let count = try poller.wait(milliseconds: Self.wait(until: drainEnd))
      if let end = drainEnd, MonotonicTime.now() >= end {
        log.warning("shutdown timeout: connections are closed in the middle")
        pool.stop()
        drainEnd = nil
      }
      for index in 0..<count {
        if poller.event(index).token == Token.finished { return }
        let signal = try signals.next()
        switch signal {
        case SIGHUP: reload()
        case SIGUSR1, SIGUSR2: switchLog(isEnabled: signal == SIGUSR1)
        default:
          if drainEnd != nil { exitAtOnce(signal) }
          log.info("stopping: what is in flight is finished first")
          pool.drain()
          drainEnd = .now() + drainTimeout
        }
      }
    }
  }

  private static func wait(until end: MonotonicTime?) -> Int32 {
    guard let end else { return -1 }
    return Int32(clamping: max(0, (end - .now()).wholeNanoseconds / 1_000_000 + 1))
  }

  private func switchLog(isEnabled: Bool) {
    // Said while the log is on, whichever way it is switched.
    logWriter.isEnabled = true
    if isEnabled {
      log.warning("logging enabled; SIGUSR2 disables it", metadata: ["pid": "\(getpid())"])
    } else {
      log.warning("logging disabled; SIGUSR1 enables it", metadata: ["pid": "\(getpid())"])
      logWriter.isEnabled = false
    }
  }

  private func exitAtOnce(_ signal: Int32) -> Never {
    log.warning("second signal: stopping at once")
    logWriter.stop()
    // As a shell reports a process that the signal itself ended.
    exit(128 + signal)
  }
}

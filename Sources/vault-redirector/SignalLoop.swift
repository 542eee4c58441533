import Discovery
import Frontend
import Glibc
import Sys
import Telemetry

/// The main thread after the start: signals, changed files, and the end of the workers.
///
/// SIGTERM, SIGINT: drain; the second one exits at once. SIGHUP: read certificates and tokens again.
/// SIGUSR1, SIGUSR2: the log on, off.
struct SignalLoop {
  private enum Token {
    static let signals: UInt64 = 1
    static let finished: UInt64 = 2
    static let directories: UInt64 = 3
  }

  let pool: WorkerPool
  let discovery: DiscoveryThread
  let rotation: CredentialRotation?
  let log: Log
  let logWriter: LogWriter
  let drainTimeout: Timeout

  /// Returns when every worker has ended.
  func run(_ signals: SignalReader) throws(SystemError) {
    var poller = try Poller()
    try poller.add(signals.number, .read, token: Token.signals)
    try poller.add(pool.finished.number, .read, token: Token.finished)
    if let number = rotation?.number { try poller.add(number, .read, token: Token.directories) }
    var drainEnd: MonotonicTime?
    while true {
      let wake = [drainEnd, rotation?.nextTurn].compactMap { $0 }.min()
      let count = try poller.wait(milliseconds: Self.milliseconds(until: wake))
      if let end = drainEnd, MonotonicTime.now() >= end {
        log.warning("shutdown timeout: connections are closed in the middle")
        pool.stop()
        drainEnd = .now() + drainTimeout
      }
      for index in 0..<count {
        switch poller.event(index).token {
        case Token.finished: return
        case Token.directories: rotation?.directoryChanged()
        default: handle(try signals.next(), &drainEnd)
        }
      }
      rotation?.turn()
    }
  }

  private func handle(_ signal: Int32, _ drainEnd: inout MonotonicTime?) {
    switch signal {
    case SIGHUP:
      discovery.reload()
      rotation?.reload()
    case SIGUSR1, SIGUSR2:
      switchLog(isEnabled: signal == SIGUSR1)
    default:
      if drainEnd != nil { exitAtOnce(signal) }
      log.info("stopping: what is in flight is finished first")
      pool.drain()
      drainEnd = .now() + drainTimeout
    }
  }

  private static func milliseconds(until time: MonotonicTime?) -> Int32 {
    guard let time else { return -1 }
    return Int32(clamping: max(0, (time - .now()).wholeNanoseconds / 1_000_000 + 1))
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
    logWriter.stop(within: .milliseconds(50))
    // As a shell reports a process that the signal itself ended.
    exit(128 + signal)
  }
}

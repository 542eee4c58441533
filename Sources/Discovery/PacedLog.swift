import Redirect
import Telemetry

/// A log of what peers can bring about as often as they like: many lines at once, then one a second. That lines are left out is
/// said once, and how many with each line that follows.
final class PacedLog {
  /// Enough for a start and some failovers of a cluster with as many nodes as are asked.
  static let linesAtOnce = 200

  private let log: Log
  private let time: TimeSource
  private var bucket = TokenBucket(capacity: linesAtOnce, refill: .seconds(1))
  /// Since the last line that was written; nil while all are.
  private var leftOut: Int?

  init(_ log: Log, time: TimeSource) {
    self.log = log
    self.time = time
  }

  /// A line for those who look for a fault, who want all of them.
  func debug(_ message: Log.Message, metadata: Log.Metadata? = nil) {
    log.debug(message, metadata: metadata)
  }

  func info(_ message: Log.Message, metadata: Log.Metadata = [:]) {
    write(.info, message, metadata)
  }

  func warning(_ message: Log.Message, metadata: Log.Metadata = [:]) {
    write(.warning, message, metadata)
  }

  func error(_ message: Log.Message, metadata: Log.Metadata = [:]) {
    write(.error, message, metadata)
  }

  private func write(_ level: Log.Level, _ message: Log.Message, _ metadata: Log.Metadata) {
    // What nobody sees takes no place.
    guard level >= log.logLevel else { return }
    let now = time.now().monotonic
    let isCalm = bucket.isFull(now: now)
    guard bucket.take(now: now) == nil else {
      if leftOut == nil {
        log.warning(
          "nodes change more often than is logged, health and metrics say how things are")
      }
      leftOut = (leftOut ?? 0) + 1
      return
    }
    var metadata = metadata
    if let count = leftOut {
      if count > 0 { metadata["left_out"] = "\(count)" }
      leftOut = isCalm ? nil : 0
    }
    log.log(level: level, message, metadata: metadata)
  }
}

import Sys

/// What tells a worker the time; a simulation has hands of its own to it.
struct WorkerClock: Sendable {
  let now: @Sendable () -> MonotonicTime
  let secondsSinceEpoch: @Sendable () -> Int64

  static let system = WorkerClock(
    now: { MonotonicTime.now() }, secondsSinceEpoch: { MonotonicTime.secondsSinceEpoch() })
}

/// A point in time on both clocks: ages are counted on the one, dates are written from the other.
package struct Moment: Equatable, Sendable {
  /// Since some fixed point in the past; never set back.
  package let monotonic: Duration
  /// Seconds since 1970-01-01T00:00:00Z.
  package let epochSeconds: Int64

  package init(monotonic: Duration, epochSeconds: Int64) {
    self.monotonic = monotonic
    self.epochSeconds = epochSeconds
  }
}

/// Asks for the time, so that a test can let ten minutes pass.
package struct TimeSource: Sendable {
  /// Reads both clocks; called from any thread.
  package let now: @Sendable () -> Moment

  package init(now: @escaping @Sendable () -> Moment) {
    self.now = now
  }
}

import Glibc

/// A point on CLOCK_MONOTONIC, in nanoseconds: never goes back, says nothing about the date.
package struct MonotonicTime: Comparable, Hashable, Sendable {
  package var nanoseconds: Int64

  package init(nanoseconds: Int64) {
    self.nanoseconds = nanoseconds
  }

  /// The time now.
  package static func now() -> MonotonicTime {
    MonotonicTime(nanoseconds: read(CLOCK_MONOTONIC))
  }

  @inline(__always)
  package static func < (left: MonotonicTime, right: MonotonicTime) -> Bool {
    left.nanoseconds < right.nanoseconds
  }

  package static func + (time: MonotonicTime, duration: Duration) -> MonotonicTime {
    MonotonicTime(nanoseconds: time.nanoseconds + duration.wholeNanoseconds)
  }

  @inline(__always)
  package static func + (time: MonotonicTime, timeout: Timeout) -> MonotonicTime {
    MonotonicTime(nanoseconds: time.nanoseconds + timeout.nanoseconds)
  }

  /// From `earlier` until `later`; negative where the order is the other way round.
  package static func - (later: MonotonicTime, earlier: MonotonicTime) -> Duration {
    .nanoseconds(later.nanoseconds - earlier.nanoseconds)
  }

  /// Seconds since 1970-01-01T00:00:00Z by the wall clock, which may be set back.
  package static func secondsSinceEpoch() -> Int64 {
    read(CLOCK_REALTIME) / 1_000_000_000
  }

  private static func read(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    // Both clocks exist on every Linux: the call cannot fail with a valid pointer.
    _ = unsafe clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}

/// A span of time in whole nanoseconds, for deadlines that every request moves: the arithmetic of `Duration` has 128 bits.
package struct Timeout: Comparable, Hashable, Sendable {
  package let nanoseconds: Int64

  /// - Parameter duration: at most 292 years.
  package init(_ duration: Duration) {
    nanoseconds = duration.wholeNanoseconds
  }

  package static let zero = Timeout(.zero)

  package static func seconds(_ seconds: Int64) -> Timeout { Timeout(.seconds(seconds)) }

  @inline(__always)
  package static func < (left: Timeout, right: Timeout) -> Bool {
    left.nanoseconds < right.nanoseconds
  }
}

extension Duration {
  /// The whole of it in nanoseconds; at most 292 years.
  package var wholeNanoseconds: Int64 {
    components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000
  }

  /// A decimal number of seconds; traps outside of ±292 years.
  package init(decimalSeconds: Double) {
    self = .nanoseconds(Int64(decimalSeconds * 1_000_000_000))
  }

  package var decimalSeconds: Double {
    Double(wholeNanoseconds) / 1_000_000_000
  }
}

import Sys

/// Lets one line through in ten seconds, and counts those it held back.
struct LogLimiter {
  private static let interval: Duration = .seconds(10)

  private var next: MonotonicTime?
  private var suppressed = 0

  /// How many were held back since the last one, where a line may be written now; else nil.
  mutating func permit(_ now: MonotonicTime) -> Int? {
    if let next, now < next {
      suppressed += 1
      return nil
    }
    defer { suppressed = 0 }
    next = now + Self.interval
    return suppressed
  }
}

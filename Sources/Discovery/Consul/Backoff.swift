/// How long to wait after failures: not at all after the first, since a dead kept-alive connection is the commonest; then up to
/// 250 ms, doubled with each failure to 15 s, with full jitter. It never gives up.
struct Backoff {
  static let base = Duration.milliseconds(250)
  static let limit = Duration.seconds(15)
  /// Of an agent on this machine that refuses connections: it restarts, and asking it costs nobody else anything.
  static let localLimit = Duration.seconds(2)

  /// Failures since the last success.
  private(set) var failures = 0

  /// The wait before the next attempt.
  ///
  /// - Parameters:
  ///   - random: a number in 0..<1.
  ///   - limit: what it stays below.
  mutating func fail(random: Double, limit: Duration = Self.limit) -> Duration {
    failures += 1
    guard failures > 1 else { return .zero }
    return min(limit, Self.ceiling(failures: failures)) * random
  }

  /// The longest wait after so many failures; at least 2.
  static func ceiling(failures: Int) -> Duration {
    min(limit, base * (1 << min(failures - 2, 16)))
  }

  mutating func succeed() {
    failures = 0
  }
}

/// Lets a burst through and then one at a time: against an index that moves with everything in Consul, and against a
/// server that does not block at all.
struct TokenBucket {
  private let capacity: Int
  /// The time in which one token comes back.
  private let refill: Duration
  /// When the bucket would have been full: in the future while tokens are missing.
  private var fullAt = Duration.zero

  init(capacity: Int, refill: Duration) {
    self.capacity = capacity
    self.refill = refill
  }

  /// No token is missing.
  func isFull(now: Duration) -> Bool { fullAt <= now }

  /// Takes a token if there is one.
  ///
  /// - Returns: nil, or when there will be one again.
  mutating func take(now: Duration) -> Duration? {
    let next = max(fullAt, now) + refill
    let allowedAt = next - refill * capacity
    guard allowedAt <= now else { return allowedAt }
    fullAt = next
    return nil
  }
}

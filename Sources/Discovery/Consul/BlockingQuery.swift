/// Which index to ask Consul with next (Consul's documentation, "Blocking Queries").
struct BlockingQuery {
  /// The index to block on; nil: ask without one, which is answered at once.
  private(set) var index: UInt64?
  /// The index of the last answer, also after a `reset`.
  private var last: UInt64?

  /// Whether an answer with this `X-Consul-Index` is from before the one that was taken last: a snapshot was restored, the catalogue is
  /// another one, or another server answers.
  func isAfter(_ field: String?) -> Bool {
    guard let last, let next = field.flatMap({ UInt64($0) }) else { return false }
    return next < last
  }

  /// Takes the `X-Consul-Index` of an answer.
  ///
  /// - Returns: whether the next query can block. Where it cannot (no index, or none that is a number), the next one has to
  ///   wait for the poll interval.
  mutating func receive(_ field: String?) -> Bool {
    guard let field, field.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let next = UInt64(field)
    else {
      index = nil
      return false
    }
    last = next
    if let index, next < index {
      // A snapshot was restored, or another server answers: what is known of the order is void.
      self.index = nil
    } else {
      // A query with 0 does not block: the loop would be busy.
      index = max(1, next)
    }
    return true
  }

  /// Forgets the index: another agent will answer, or the answer was lost.
  mutating func reset() {
    index = nil
  }
}

/// The connections whose TLS sessions keep their record buffers, so that a busy one allocates nothing for a request and
/// an idle one holds none: a ring of tokens, of which a new one takes the place of the oldest.
struct WarmSessions {
  /// With 21 KiB each, 1.3 MiB of buffers for a worker at most, beside those that hold a part of a record.
  static let countMax = 64

  private var tokens: [UInt64] = []
  private var oldest = 0

  /// Adds a token.
  ///
  /// - Returns: the token that has to go; its connection may be gone already. Nil while there is room.
  mutating func replaceOldest(with token: UInt64) -> UInt64? {
    if tokens.count < Self.countMax {
      tokens.append(token)
      return nil
    }
    let replaced = tokens[oldest]
    tokens[oldest] = token
    oldest = oldest + 1 < Self.countMax ? oldest + 1 : 0
    return replaced
  }
}

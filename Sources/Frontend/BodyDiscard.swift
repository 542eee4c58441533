import HTTP1

/// What is left of a body that is read only to be dropped.
enum BodyDiscard {
  case none
  case length(UInt64)
  /// What is counted is all that is read: chunks of one byte with long size lines are no way round the limit.
  case chunked(ChunkedDecoder, bytesLeft: UInt64)

  enum Result {
    /// All of the bytes were the body's, and more is due.
    case needsMore(used: Int)
    /// The body ended after so many bytes.
    case finished(used: Int)
    /// More than is worth reading.
    case tooLarge
    case malformed(RequestError)
  }

  init(_ framing: BodyFraming, limits: FrontendLimits) {
    switch framing {
    case .none: self = .none
    case .length(let bytes): self = .length(bytes)
    case .chunked:
      self = .chunked(
        ChunkedDecoder(limits: limits.message), bytesLeft: limits.discardBytesMax)
    }
  }

  var isFinished: Bool {
    if case .none = self { true } else { false }
  }

  /// Takes from the front of `bytes` what belongs to the body.
  mutating func discard(_ bytes: Span<UInt8>) -> Result {
    switch self {
    case .none:
      return .finished(used: 0)
    case .length(let left):
      if left > UInt64(bytes.count) {
        self = .length(left - UInt64(bytes.count))
        return .needsMore(used: bytes.count)
      }
      self = .none
      return .finished(used: Int(left))
    case .chunked(var decoder, let left):
      switch decoder.decode(bytes) {
      case .needsMore:
        guard UInt64(bytes.count) <= left else { return .tooLarge }
        self = .chunked(decoder, bytesLeft: left - UInt64(bytes.count))
        return .needsMore(used: bytes.count)
      case .finished(let consumed, _):
        guard UInt64(consumed) <= left else { return .tooLarge }
        self = .none
        return .finished(used: consumed)
      case .failed(let error):
        return .malformed(error)
      }
    }
  }
}

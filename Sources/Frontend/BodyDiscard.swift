import HTTP1

/// What is left of a body that is read only to be dropped.
enum BodyDiscard {
  case none
  case length(UInt64)
  /// Content counts, as `--max-body` says; size lines, extensions and trailers count beside it, so that chunks of one byte
  /// are no way round the limit.
  case chunked(ChunkedDecoder, contentLeft: UInt64, framingLeft: UInt64)

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
        ChunkedDecoder(limits: limits.message), contentLeft: limits.discardBytesMax,
        framingLeft: Self.framingBytesMin + limits.discardBytesMax / 16)
    }
  }

  /// The least framing that a body may have: its size lines' and its trailer's bounds, a few times over.
  private static let framingBytesMin: UInt64 = 64 << 10

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
    case .chunked(var decoder, let contentLeft, let framingLeft):
      switch decoder.decode(bytes) {
      case .needsMore(let content):
        guard
          let (content, framing) = Self.left(
            contentLeft, framingLeft, content: content, framing: bytes.count - content)
        else { return .tooLarge }
        self = .chunked(decoder, contentLeft: content, framingLeft: framing)
        return .needsMore(used: bytes.count)
      case .finished(let consumed, let content):
        guard
          Self.left(contentLeft, framingLeft, content: content, framing: consumed - content) != nil
        else { return .tooLarge }
        self = .none
        return .finished(used: consumed)
      case .failed(let error):
        return .malformed(error)
      }
    }
  }

  /// What is left of both budgets; nil where one of them is overspent.
  private static func left(
    _ contentLeft: UInt64, _ framingLeft: UInt64, content: Int, framing: Int
  ) -> (UInt64, UInt64)? {
    guard UInt64(content) <= contentLeft, UInt64(framing) <= framingLeft else { return nil }
    return (contentLeft - UInt64(content), framingLeft - UInt64(framing))
  }
}

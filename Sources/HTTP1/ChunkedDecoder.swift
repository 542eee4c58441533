/// What became of the bytes of a chunked body given to the decoder.
package enum ChunkedResult: Equatable, Sendable {
  /// All bytes were read and the body goes on; `dataBytes` of them were data.
  case needsMore(dataBytes: Int)
  /// The body ends after `consumed` bytes, `dataBytes` of them data. What follows is the next head.
  case finished(consumed: Int, dataBytes: Int)
  /// Where the body ends cannot be known: close.
  case failed(RequestError)
}

/// Finds the end of a chunked body that nobody wants (RFC 9112 §7.1): data, extensions and trailers
/// are dropped.
///
/// It keeps its place between calls and never looks at a byte twice. Sizes and lines are bounded;
/// how much is discarded in all is for the caller to bound, by the bytes it gave and not by their
/// data alone.
///
/// ```
/// size ─► [sizeSpace] ─► [extension] ─► sizeLineFeed ─► data ─► dataReturn ─► dataLineFeed ─► size
///                                            │ size 0
///    ┌───────────────────────────────────────┘
///    └► trailerStart ─► trailerName ─► trailerValue ─► trailerLineFeed ─► trailerStart
///             └─ CR ─► endLineFeed ─► done
/// ```
package struct ChunkedDecoder: Sendable {
  private enum Phase: UInt8 {
    case size, sizeSpace, `extension`, sizeLineFeed
    case data, dataReturn, dataLineFeed
    case trailerStart, trailerName, trailerValue, trailerLineFeed, endLineFeed
    case done, failed
  }

  private let limits: MessageLimits
  private var phase = Phase.size
  private var failure = RequestError.invalidChunkSize
  /// Bytes of this chunk that are still to come.
  private var dataLeft: UInt64 = 0
  private var sizeDigits = 0
  /// Bytes of this size line, or of the trailer section, read so far.
  private var lineBytes = 0

  package init(limits: MessageLimits = MessageLimits()) {
    self.limits = limits
  }

  /// Reads the next bytes of the body.
  ///
  /// - Parameter bytes: what follows the bytes of the last call. Not to be called after `finished`.
  package mutating func decode(_ bytes: Span<UInt8>) -> ChunkedResult {
    assert(phase != .done, "a decoder is for one body")
    guard phase != .failed, phase != .done else { return .failed(failure) }
    var position = 0
    var dataBytes = 0
    do {
      while position < bytes.count {
        if phase == .data {
          let step = Int(min(dataLeft, UInt64(bytes.count - position)))
          dataLeft -= UInt64(step)
          dataBytes += step
          position += step
          if dataLeft == 0 { phase = .dataReturn }
          continue
        }
        try readFramingByte(bytes[position])
        position += 1
        if phase == .done { return .finished(consumed: position, dataBytes: dataBytes) }
      }
    } catch {
      failure = error
      phase = .failed
      return .failed(error)
    }
    return .needsMore(dataBytes: dataBytes)
  }

  private mutating func readFramingByte(_ byte: UInt8) throws(RequestError) {
    switch phase {
    case .size, .sizeSpace, .extension, .sizeLineFeed:
      lineBytes += 1
      guard lineBytes <= limits.chunkSizeLineBytesMax else { throw .chunkSizeLineTooLong }
      try readSizeLine(byte)
    case .dataReturn:
      guard byte == ASCII.carriageReturn else { throw .unexpected(byte, else: .invalidChunkEnd) }
      phase = .dataLineFeed
    case .dataLineFeed:
      guard byte == ASCII.lineFeed else { throw .bareCarriageReturn }
      beginSizeLine()
    case .trailerStart, .trailerName, .trailerValue, .trailerLineFeed, .endLineFeed:
      lineBytes += 1
      guard lineBytes <= limits.trailerBytesMax else { throw .trailerTooLong }
      try readTrailer(byte)
    case .data, .done, .failed:
      assertionFailure("only framing is read byte by byte")
      throw .invalidChunkEnd
    }
  }

  /// `chunk-size [ chunk-ext ] CRLF`: what an extension says is not looked at, only that it can do
  /// no harm.
  private mutating func readSizeLine(_ byte: UInt8) throws(RequestError) {
    switch phase {
    case .size:
      if let digit = byte.hexadecimalValue {
        sizeDigits += 1
        guard sizeDigits <= 16 else { throw .invalidChunkSize }
        dataLeft = dataLeft << 4 | UInt64(digit)
        return
      }
      guard sizeDigits > 0 else { throw .unexpected(byte, else: .invalidChunkSize) }
      try readAfterSize(byte, mayEnd: true)
    case .sizeSpace:
      try readAfterSize(byte, mayEnd: false)
    case .extension:
      if byte == ASCII.carriageReturn {
        phase = .sizeLineFeed
      } else if byte.isForbiddenControl {
        throw .unexpected(byte, else: .controlByte)
      }
    default:
      guard byte == ASCII.lineFeed else { throw .bareCarriageReturn }
      phase = dataLeft > 0 ? .data : .trailerStart
      lineBytes = 0
    }
  }

  /// White space may only stand before the `;` of an extension (RFC 9112 §7.1.1).
  private mutating func readAfterSize(_ byte: UInt8, mayEnd: Bool) throws(RequestError) {
    if byte == ASCII.carriageReturn, mayEnd {
      phase = .sizeLineFeed
    } else if byte == UInt8(ascii: ";") {
      phase = .extension
    } else if byte.isWhitespace {
      phase = .sizeSpace
    } else {
      throw .unexpected(byte, else: .invalidChunkExtension)
    }
  }

  /// Field lines as in a head, up to the empty line; none of them has a meaning here (RFC 9112
  /// §7.1.2).
  private mutating func readTrailer(_ byte: UInt8) throws(RequestError) {
    switch phase {
    case .trailerStart:
      guard byte != ASCII.carriageReturn else {
        phase = .endLineFeed
        return
      }
      guard !byte.isWhitespace else { throw .lineFolding }
      guard byte.isTokenByte else { throw .unexpected(byte, else: .malformedFieldName) }
      phase = .trailerName
    case .trailerName:
      if byte == UInt8(ascii: ":") {
        phase = .trailerValue
      } else if !byte.isTokenByte {
        throw byte.isWhitespace
          ? .whitespaceBeforeColon : .unexpected(byte, else: .malformedFieldName)
      }
    case .trailerValue:
      if byte == ASCII.carriageReturn {
        phase = .trailerLineFeed
      } else if byte.isForbiddenControl {
        throw .unexpected(byte, else: .controlByte)
      }
    default:
      guard byte == ASCII.lineFeed else { throw .bareCarriageReturn }
      phase = phase == .endLineFeed ? .done : .trailerStart
    }
  }

  private mutating func beginSizeLine() {
    phase = .size
    dataLeft = 0
    sizeDigits = 0
    lineBytes = 0
  }
}

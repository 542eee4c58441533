/// Reads field lines up to the empty line (RFC 9112 §5), as far as they are there, and keeps what
/// the few fields with a meaning here say.
///
/// ```
/// lineStart ─► name ─► value ─► lineFeed ─► lineStart
///     └─ CR ─► lastLineFeed ─► done
/// ```
struct FieldSection {
  private enum Phase: UInt8 {
    case lineStart, name, value, lineFeed, lastLineFeed, done
  }

  private var phase = Phase.lineStart
  private var fieldsLeft: Int
  private var nameStart = 0
  private var colon = 0

  /// Offsets of the value of Host.
  private(set) var host: Range<Int>?
  private(set) var framing = FramingFields()
  private(set) var asksClose = false
  private(set) var asksKeepAlive = false
  private(set) var expectsContinue = false

  init(fieldsMax: Int) {
    fieldsLeft = fieldsMax
  }

  /// The whole section has been read, with its empty line.
  var isDone: Bool { phase == .done }

  /// Reads from `position` on until the section or `bytes` ends, and moves `position` behind what
  /// was read.
  mutating func read(_ bytes: Span<UInt8>, _ position: inout Int) throws(RequestError) {
    while position < bytes.count, phase != .done {
      switch phase {
      case .lineStart: try readLineStart(bytes, &position)
      case .name: try readName(bytes, &position)
      case .value: try readValue(bytes, &position)
      case .lineFeed:
        guard bytes[position] == ASCII.lineFeed else { throw .bareCarriageReturn }
        try takeField(bytes, name: nameStart..<colon, value: (colon &+ 1)..<(position &- 1))
        position &+= 1
        phase = .lineStart
      case .lastLineFeed:
        guard bytes[position] == ASCII.lineFeed else { throw .bareCarriageReturn }
        position &+= 1
        phase = .done
      case .done: return
      }
    }
  }

  private mutating func readLineStart(
    _ bytes: Span<UInt8>, _ position: inout Int
  ) throws(RequestError) {
    let byte = bytes[position]
    if byte == ASCII.carriageReturn {
      position &+= 1
      phase = .lastLineFeed
      return
    }
    // Before a name, white space is a folded line, and in front of the first it is nothing good
    // (RFC 9112 §2.2).
    guard !byte.isWhitespace else { throw .lineFolding }
    guard byte.isTokenByte else { throw .unexpected(byte, else: .malformedFieldName) }
    guard fieldsLeft > 0 else { throw .tooManyFields }
    fieldsLeft &-= 1
    nameStart = position
    phase = .name
  }

  private mutating func readName(
    _ bytes: Span<UInt8>, _ position: inout Int
  ) throws(RequestError) {
    position = bytes.endOfToken(from: position)
    guard position < bytes.count else { return }
    let byte = bytes[position]
    guard byte == UInt8(ascii: ":") else {
      throw byte.isWhitespace
        ? .whitespaceBeforeColon : .unexpected(byte, else: .malformedFieldName)
    }
    colon = position
    position &+= 1
    phase = .value
  }

  private mutating func readValue(
    _ bytes: Span<UInt8>, _ position: inout Int
  ) throws(RequestError) {
    position = bytes.endOfFieldValue(from: position)
    guard position < bytes.count else { return }
    let byte = bytes[position]
    guard byte == ASCII.carriageReturn else { throw .unexpected(byte, else: .controlByte) }
    position &+= 1
    phase = .lineFeed
  }

  /// The names' lengths are all different, so that one comparison sorts out almost every field.
  private mutating func takeField(
    _ bytes: Span<UInt8>, name: Range<Int>, value: Range<Int>
  ) throws(RequestError) {
    switch name.count {
    case 4 where bytes.matchesIgnoringCase(name, "host"):
      guard host == nil else { throw .duplicateHost }
      let value = bytes.trimmingWhitespace(value)
      guard bytes.isAuthority(value) else { throw .invalidHost }
      host = value
    case 6 where bytes.matchesIgnoringCase(name, "expect"):
      let value = bytes.trimmingWhitespace(value)
      guard bytes.matchesIgnoringCase(value, "100-continue") else { throw .unknownExpectation }
      expectsContinue = true
    case 10 where bytes.matchesIgnoringCase(name, "connection"):
      takeConnectionOptions(bytes, value)
    case 14 where bytes.matchesIgnoringCase(name, "content-length"):
      try framing.addContentLength(bytes, bytes.trimmingWhitespace(value))
    case 17 where bytes.matchesIgnoringCase(name, "transfer-encoding"):
      try framing.addTransferEncoding(bytes, bytes.trimmingWhitespace(value))
    default:
      break
    }
  }

  /// Options other than `close` and `keep-alive` name fields of the hop, which end here anyway (RFC
  /// 9110 §7.6.1).
  private mutating func takeConnectionOptions(_ bytes: Span<UInt8>, _ value: Range<Int>) {
    var rest: Range<Int>? = value
    while let option = bytes.nextListElement(&rest) {
      if bytes.matchesIgnoringCase(option, "close") { asksClose = true }
      if bytes.matchesIgnoringCase(option, "keep-alive") { asksKeepAlive = true }
    }
  }
}

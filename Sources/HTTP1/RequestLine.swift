/// Reads a request line (RFC 9112 §3), as far as it is there.
///
/// ```
/// start ─► leadingLineFeed ─► method ─► targetStart ─► target ─► version ─► done
///   └──────── no CR ────────────┘                        └─ CR ─► missingVersion ─► 505
/// ```
struct RequestLine {
  private enum Phase: UInt8 {
    case start, leadingLineFeed, method, targetStart, target, missingVersion, version, done
  }

  private var phase = Phase.start
  /// Where the part now being read begins.
  private var partStart = 0
  private var query: Int?

  private(set) var method: Method?
  private(set) var methodRange = 0..<0
  private(set) var target = RequestTarget(range: 0..<0, needsSlash: false, pathEnd: 0)
  private(set) var version = HTTPVersion.http11

  /// The whole line has been read, with its CRLF.
  var isDone: Bool { phase == .done }

  /// Reads from `position` on until the line or `bytes` ends, and moves `position` behind what was
  /// read.
  mutating func read(_ bytes: Span<UInt8>, _ position: inout Int) throws(RequestError) {
    while position < bytes.count, phase != .done {
      switch phase {
      case .start: try readStart(bytes, &position)
      case .leadingLineFeed: try readLeadingLineFeed(bytes, &position)
      case .method: try readMethod(bytes, &position)
      case .targetStart: try readTargetStart(bytes, position)
      case .target: try readTarget(bytes, &position)
      case .missingVersion:
        // `GET /path` and the end of the line is HTTP/0.9.
        throw bytes[position] == ASCII.lineFeed ? .unsupportedVersion : .bareCarriageReturn
      case .version: try readVersion(bytes, &position)
      case .done: return
      }
    }
  }

  /// One empty line is let pass before the request line (RFC 9112 §2.2); a second one is no method.
  private mutating func readStart(
    _ bytes: Span<UInt8>, _ position: inout Int
  ) throws(RequestError) {
    guard bytes[position] == ASCII.carriageReturn else {
      begin(.method, at: position)
      return
    }
    position &+= 1
    phase = .leadingLineFeed
  }

  private mutating func readLeadingLineFeed(
    _ bytes: Span<UInt8>, _ position: inout Int
  ) throws(RequestError) {
    guard bytes[position] == ASCII.lineFeed else { throw .bareCarriageReturn }
    position &+= 1
    begin(.method, at: position)
  }

  private mutating func readMethod(
    _ bytes: Span<UInt8>, _ position: inout Int
  ) throws(RequestError) {
    position = bytes.endOfToken(from: position)
    guard position < bytes.count else { return }
    guard bytes[position] == ASCII.space, position > partStart else {
      throw .unexpected(bytes[position], else: .malformedMethod)
    }
    methodRange = partStart..<position
    let token = Method(bytes, methodRange)
    method = token
    // CONNECT has no path, and TRACE would echo credentials (RFC 9110 §9.3.6, §9.3.8).
    guard token != .connect, token != .trace else { throw .methodNotAllowed }
    position &+= 1
    begin(.targetStart, at: position)
  }

  /// The first byte tells the target's form, and what is refused for it is refused at once.
  private mutating func readTargetStart(
    _ bytes: Span<UInt8>, _ position: Int
  ) throws(RequestError) {
    switch bytes[position] {
    case UInt8(ascii: "/"), UInt8(ascii: "h"), UInt8(ascii: "H"):
      begin(.target, at: position)
    case UInt8(ascii: "*") where method == .options:
      throw .asteriskTarget
    case UInt8(ascii: "*") where bytes.matches(methodRange, "PRI"):
      // The preface of HTTP/2 (RFC 9113 §3.4).
      throw .unsupportedVersion
    case let byte:
      throw .unexpected(byte, else: .malformedTarget)
    }
  }

  private mutating func readTarget(
    _ bytes: Span<UInt8>, _ position: inout Int
  ) throws(RequestError) {
    position = bytes.endOfTargetPart(from: position)
    guard position < bytes.count else { return }
    let end = position
    position &+= 1
    switch bytes[end] {
    case UInt8(ascii: "?"):
      if query == nil { query = end }
    case ASCII.space:
      target = try RequestTarget(bytes, partStart..<end, query: query)
      begin(.version, at: position)
    case ASCII.carriageReturn:
      phase = .missingVersion
    case UInt8(ascii: "#"):
      throw .targetFragment
    case let byte:
      throw .unexpected(byte, else: .targetByte)
    }
  }

  /// `HTTP/1.` and a digit, then CRLF, byte by byte (RFC 9112 §2.3); at once where all is there, and is what it nearly
  /// always is.
  private mutating func readVersion(
    _ bytes: Span<UInt8>, _ position: inout Int
  ) throws(RequestError) {
    let usual: StaticString = "HTTP/1.1\r\n"
    let usualEnd = partStart &+ usual.utf8CodeUnitCount
    if position == partStart, usualEnd <= bytes.count, bytes.matches(partStart..<usualEnd, usual) {
      position = usualEnd
      phase = .done
      return
    }
    let byte = bytes[position]
    switch (position &- partStart, byte) {
    case (0, UInt8(ascii: "H")), (1, UInt8(ascii: "T")), (2, UInt8(ascii: "T")),
      (3, UInt8(ascii: "P")), (4, UInt8(ascii: "/")), (5, UInt8(ascii: "1")),
      (6, UInt8(ascii: ".")), (8, ASCII.carriageReturn):
      break
    case (5, _) where byte.isDigit:
      throw .unsupportedVersion
    case (7, _) where byte.isDigit:
      version = byte == UInt8(ascii: "0") ? .http10 : .http11
    case (9, ASCII.lineFeed):
      phase = .done
    case (9, _):
      throw .bareCarriageReturn
    default:
      throw .unexpected(byte, else: .malformedVersion)
    }
    position &+= 1
  }

  private mutating func begin(_ next: Phase, at position: Int) {
    phase = next
    partStart = position
  }
}

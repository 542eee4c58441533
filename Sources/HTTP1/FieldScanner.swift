/// The bytes that the grammar of a head is made of.
enum ASCII {
  static let tab: UInt8 = 0x09
  static let lineFeed: UInt8 = 0x0A
  static let carriageReturn: UInt8 = 0x0D
  static let space: UInt8 = 0x20
  static let delete: UInt8 = 0x7F
}

extension UInt8 {
  /// `tchar` (RFC 9110 §5.6.2): letters, digits and ``!#$%&'*+-.^_`|~``.
  @inline(__always)
  var isTokenByte: Bool {
    // One bit for each byte of 0x00...0x3F, and of 0x40...0x7F.
    let low: UInt64 = 0x03FF_6CFA_0000_0000
    let high: UInt64 = 0x57FF_FFFF_C7FF_FFFE
    return self < 0x80 && ((self < 0x40 ? low : high) &>> UInt64(self)) & 1 == 1
  }

  /// A control byte that may stand nowhere in a head: all but HTAB (RFC 9110 §5.5).
  @inline(__always)
  var isForbiddenControl: Bool { (self < 0x20 && self != ASCII.tab) || self == ASCII.delete }

  /// OWS: a space or a horizontal tab (RFC 9110 §5.6.3).
  @inline(__always)
  var isWhitespace: Bool { self == ASCII.space || self == ASCII.tab }

  @inline(__always)
  var isDigit: Bool { self &- UInt8(ascii: "0") < 10 }

  @inline(__always)
  var isLetter: Bool { (self | 0x20) &- UInt8(ascii: "a") < 26 }

  /// The value of a hexadecimal digit of either case, or nil.
  @inline(__always)
  var hexadecimalValue: UInt8? {
    if isDigit { return self &- UInt8(ascii: "0") }
    let letter = (self | 0x20) &- UInt8(ascii: "a")
    return letter < 6 ? letter &+ 10 : nil
  }

  @inline(__always)
  var lowercased: UInt8 { self &- UInt8(ascii: "A") < 26 ? self | 0x20 : self }
}

extension RequestError {
  /// The error for a byte that has no place where it stands: what is wrong with the byte itself, or
  /// else `error`.
  static func unexpected(_ byte: UInt8, else error: RequestError) -> RequestError {
    if byte == ASCII.lineFeed { return .bareLineFeed }
    return byte.isForbiddenControl && byte != ASCII.carriageReturn ? .controlByte : error
  }
}

extension Span<UInt8> {
  /// The offset of the first byte from `start` on that is no token byte, or the end.
  @inline(__always)
  func endOfToken(from start: Int) -> Int {
    var index = start
    while index < count, self[index].isTokenByte { index &+= 1 }
    return index
  }

  /// The offset of the first byte from `start` on that ends a field's value, or the end: any
  /// control byte but HTAB. Spaces, visible ASCII and obs-text are value (RFC 9110 §5.5).
  @inline(__always)
  func endOfFieldValue(from start: Int) -> Int {
    var index = start
    while index < count, !self[index].isForbiddenControl { index &+= 1 }
    return index
  }

  /// The offset of the first byte from `start` on that is not 0x21…0x7E, or is `?` or `#`, or the
  /// end.
  @inline(__always)
  func endOfTargetPart(from start: Int) -> Int {
    var index = start
    while index < count {
      let byte = self[index]
      if byte &- 0x21 > 0x7E - 0x21 || byte == UInt8(ascii: "?") || byte == UInt8(ascii: "#") {
        break
      }
      index &+= 1
    }
    return index
  }

  /// `range` without the white space at both its ends.
  func trimmingWhitespace(_ range: Range<Int>) -> Range<Int> {
    var (lower, upper) = (range.lowerBound, range.upperBound)
    while lower < upper, self[lower].isWhitespace { lower &+= 1 }
    while lower < upper, self[upper &- 1].isWhitespace { upper &-= 1 }
    return lower..<upper
  }

  /// Whether the bytes of `range` are `literal`, to the letter.
  func matches(_ range: Range<Int>, _ literal: StaticString) -> Bool {
    guard range.count == literal.utf8CodeUnitCount else { return false }
    for index in 0..<range.count {
      // A StaticString of several bytes points at constant memory of the length just compared.
      let expected = unsafe literal.utf8Start[index]
      guard self[range.lowerBound &+ index] == expected else { return false }
    }
    return true
  }

  /// Whether the bytes of `range` are `literal`, which is in lower case, in letters of any case.
  func matchesIgnoringCase(_ range: Range<Int>, _ literal: StaticString) -> Bool {
    guard range.count == literal.utf8CodeUnitCount else { return false }
    for index in 0..<range.count {
      // A StaticString of several bytes points at constant memory of the length just compared.
      let expected = unsafe literal.utf8Start[index]
      guard self[range.lowerBound &+ index].lowercased == expected else { return false }
    }
    return true
  }

  /// Takes the next element off a comma-separated list and trims it; empty ones count as well (RFC
  /// 9110 §5.6.1). Nil at the end of the list.
  func nextListElement(_ rest: inout Range<Int>?) -> Range<Int>? {
    guard let list = rest else { return nil }
    var comma = list.lowerBound
    while comma < list.upperBound, self[comma] != UInt8(ascii: ",") { comma &+= 1 }
    rest = comma < list.upperBound ? (comma &+ 1)..<list.upperBound : nil
    return trimmingWhitespace(list.lowerBound..<comma)
  }
}

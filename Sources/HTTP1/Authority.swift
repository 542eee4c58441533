extension Span<UInt8> {
  /// Whether the bytes of `range` are a host and an optional port as Host has them (RFC 9110 §7.2,
  /// RFC 3986 §3.2.2): a name, an IPv4 address or an IPv6 address in brackets; no user, and not
  /// empty.
  func isAuthority(_ range: Range<Int>) -> Bool {
    guard !range.isEmpty else { return false }
    let hostEnd: Int
    if self[range.lowerBound] == UInt8(ascii: "[") {
      var bracket = range.lowerBound &+ 1
      while bracket < range.upperBound, self[bracket] != UInt8(ascii: "]") { bracket &+= 1 }
      guard bracket < range.upperBound else { return false }
      guard isIPv6Address((range.lowerBound &+ 1)..<bracket) else { return false }
      hostEnd = bracket &+ 1
    } else {
      guard let end = endOfRegisteredName(range), end > range.lowerBound else { return false }
      hostEnd = end
    }
    return isPortSuffix(hostEnd..<range.upperBound)
  }

  /// The offset of the first `:` or the end of `range`; nil where a byte before it cannot stand in
  /// a reg-name.
  private func endOfRegisteredName(_ range: Range<Int>) -> Int? {
    var index = range.lowerBound
    while index < range.upperBound {
      switch self[index] {
      case UInt8(ascii: ":"):
        return index
      case UInt8(ascii: "%"):
        guard range.upperBound - index > 2, self[index &+ 1].hexadecimalValue != nil,
          self[index &+ 2].hexadecimalValue != nil
        else { return nil }
        index &+= 3
      case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"),
        UInt8(ascii: "!"), UInt8(ascii: "$"), UInt8(ascii: "&"), UInt8(ascii: "'"),
        UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "*"), UInt8(ascii: "+"),
        UInt8(ascii: ","), UInt8(ascii: ";"), UInt8(ascii: "="):
        index &+= 1
      case let byte:
        guard byte.isLetter || byte.isDigit else { return nil }
        index &+= 1
      }
    }
    return index
  }

  /// Nothing, or `:` and a port number that may be missing (RFC 3986 §3.2.3) but not above 65535.
  private func isPortSuffix(_ range: Range<Int>) -> Bool {
    guard !range.isEmpty else { return true }
    guard self[range.lowerBound] == UInt8(ascii: ":"), range.count <= 6 else { return false }
    var port = 0
    for index in range.dropFirst() {
      guard self[index].isDigit else { return false }
      port = port &* 10 &+ Int(self[index] &- UInt8(ascii: "0"))
    }
    return port <= 65_535
  }

  /// Eight groups of up to four hexadecimal digits, the last two perhaps as an IPv4 address, and
  /// one `::` perhaps for one or more groups of zeros (RFC 3986 §3.2.2). No zone: it means nothing
  /// to another host.
  func isIPv6Address(_ range: Range<Int>) -> Bool {
    var groups = 0
    var isShortened = false
    var index = range.lowerBound
    while index < range.upperBound {
      if self[index] == UInt8(ascii: ":") {
        // A colon at the start of a group: the second of `::`, or both of them at the very start.
        if index == range.lowerBound {
          index &+= 1
          guard index < range.upperBound, self[index] == UInt8(ascii: ":") else { return false }
        }
        guard !isShortened else { return false }
        isShortened = true
        index &+= 1
        continue
      }
      var end = index
      while end < range.upperBound, self[end].hexadecimalValue != nil { end &+= 1 }
      if end < range.upperBound, self[end] == UInt8(ascii: ".") {
        guard isIPv4Address(index..<range.upperBound) else { return false }
        groups &+= 2
        break
      }
      guard end > index, end - index <= 4 else { return false }
      groups &+= 1
      index = end
      guard index < range.upperBound else { break }
      guard self[index] == UInt8(ascii: ":"), index + 1 < range.upperBound else { return false }
      index &+= 1
    }
    return isShortened ? groups <= 7 : groups == 8
  }

  /// Four decimal numbers up to 255 without leading zeros, with dots between them.
  private func isIPv4Address(_ range: Range<Int>) -> Bool {
    var (parts, value, digits) = (0, 0, 0)
    for index in range.lowerBound...range.upperBound {
      guard index < range.upperBound, self[index] != UInt8(ascii: ".") else {
        guard digits > 0 else { return false }
        (parts, value, digits) = (parts + 1, 0, 0)
        continue
      }
      guard self[index].isDigit, digits == 0 || value > 0 else { return false }
      value = value &* 10 &+ Int(self[index] &- UInt8(ascii: "0"))
      digits += 1
      guard value <= 255 else { return false }
    }
    return parts == 4
  }
}

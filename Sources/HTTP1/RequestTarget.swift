/// Where the part of a request's target lies that goes into `Location`.
package struct RequestTarget: Equatable, Sendable {
  /// Offsets in the head of the path and query, byte for byte as the client wrote them.
  /// Begins with `/`, unless `needsSlash`; empty or `?…` only then.
  package var range: Range<Int>
  /// The target was absolute-form without a path (`http://host` or `http://host?query`, RFC 9112
  /// §3.2.2): a `/` is to be put before `range`.
  package var needsSlash: Bool
  /// Offset of the first `?` within `range`, or the end of `range`: where the path stops.
  package var pathEnd: Int

  package init(range: Range<Int>, needsSlash: Bool, pathEnd: Int) {
    self.range = range
    self.needsSlash = needsSlash
    self.pathEnd = pathEnd
  }
}

extension RequestTarget {
  /// Takes apart a target whose bytes are all allowed and whose first `?` is at `query`.
  ///
  /// origin-form begins with `/`. Of absolute-form the scheme must be http or https and the
  /// authority valid (RFC 9112 §3.2.2); both are then left out. Nothing else names a path, so
  /// everything else is refused: what stands right behind `Location: https://host:port` must never
  /// be able to go on with the host.
  init(_ bytes: Span<UInt8>, _ whole: Range<Int>, query: Int?) throws(RequestError) {
    let pathEnd = query ?? whole.upperBound
    if bytes[whole.lowerBound] == UInt8(ascii: "/") {
      self.init(range: whole, needsSlash: false, pathEnd: pathEnd)
      return
    }
    guard let authority = Self.authorityStart(bytes, whole.lowerBound..<pathEnd) else {
      throw .malformedTarget
    }
    var path = authority
    while path < pathEnd, bytes[path] != UInt8(ascii: "/") { path &+= 1 }
    guard bytes.isAuthority(authority..<path) else { throw .targetAuthority }
    self.init(range: path..<whole.upperBound, needsSlash: path == pathEnd, pathEnd: pathEnd)
  }

  /// The offset behind `http://` or `https://`, written in any case.
  private static func authorityStart(_ bytes: Span<UInt8>, _ target: Range<Int>) -> Int? {
    for length in 7...8 where target.count >= length {
      let end = target.lowerBound + length
      let literal: StaticString = length == 7 ? "http://" : "https://"
      if bytes.matchesIgnoringCase(target.lowerBound..<end, literal) { return end }
    }
    return nil
  }
}

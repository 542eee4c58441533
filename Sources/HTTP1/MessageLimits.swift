/// How much of a request is read before it is refused; every number of this module stands here.
package struct MessageLimits: Equatable, Sendable {
  /// The request line with its CRLF, and the empty line that may stand before it. Over it: 414.
  package var requestLineBytesMax = 16_384
  /// The whole head, from the request line to the empty line, with both. Over it: 431.
  package var headBytesMax = 32_768
  /// Field lines in a head. Over it: 431.
  package var fieldsMax = 100
  /// The line before a chunk: its size, its extensions and its CRLF. Over it: 400.
  package var chunkSizeLineBytesMax = 256
  /// The trailer section after the last chunk, with its empty line. Over it: 400.
  package var trailerBytesMax = 8_192

  package init() {}
}

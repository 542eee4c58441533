import GuardPage
import HTTP1
import Testing

/// The last result of a decoder that is given `input` in the parts that end at `ends`, with
/// consumed and data bytes summed up over all of them.
private func decode(
  _ input: [UInt8], upTo ends: some Sequence<Int>, limits: MessageLimits = MessageLimits()
) -> ChunkedResult {
  var decoder = ChunkedDecoder(limits: limits)
  var (start, data) = (0, 0)
  for end in ends {
    switch decoder.decode(input.span.extracting(start..<end)) {
    case .needsMore(let dataBytes):
      data += dataBytes
      start = end
    case .finished(let consumed, let dataBytes):
      return .finished(consumed: start + consumed, dataBytes: data + dataBytes)
    case .failed(let error):
      return .failed(error)
    }
  }
  return .needsMore(dataBytes: data)
}

private func decode(_ input: String, limits: MessageLimits = MessageLimits()) -> ChunkedResult {
  let input = bytes(input)
  return decode(input, upTo: [input.count], limits: limits)
}

/// Bodies exactly as long as themselves, and how much of each is data.
private let bodies: [(String, Int)] = [
  ("0\r\n\r\n", 0),
  ("0000000000000000\r\n\r\n", 0),
  ("5\r\nhello\r\n0\r\n\r\n", 5),
  ("5\r\nhello\r\n00A\r\n\r\n0\r\n\r\n\r\n\n\r\n0\r\n\r\n", 15),
  ("a;name=value;q=\"x;y\"\r\n0123456789\r\n0 ; last\t\r\n\r\n", 10),
  ("1\t ;x\r\n\u{0}\r\n0\r\nX-Trailer: 1\r\nY:\r\nZ: \u{e9} \t\r\n\r\n", 1),
  ("0;\u{e9}\r\nContent-Length: 5\r\n\r\n", 0),
]

@Test("A chunked body ends where it ends, however it is cut up", arguments: bodies)
private func chunkedBody(_ text: String, _ dataBytes: Int) throws {
  let input = bytes(text)
  let whole = ChunkedResult.finished(consumed: input.count, dataBytes: dataBytes)
  #expect(decode(input, upTo: [input.count]) == whole)
  #expect(decode(input + bytes("GET /"), upTo: [input.count + 5]) == whole)
  #expect(decode(input, upTo: 1...input.count) == whole)
  for split in 0..<input.count {
    #expect(decode(input, upTo: [split, input.count]) == whole)
    guard case .needsMore = decode(input, upTo: [split]) else {
      Issue.record("ended early, at \(split)")
      continue
    }
    let guarded = withGuardPage(behind: Array(input.prefix(split))) { bytes in
      var decoder = ChunkedDecoder()
      return decoder.decode(bytes)
    }
    #expect(guarded == decode(input, upTo: [split]))
  }
}

private let brokenBodies: [(String, RequestError)] = [
  ("\r\n", .invalidChunkSize),
  ("g\r\n", .invalidChunkSize),
  ("0x5\r\n", .invalidChunkExtension),
  ("-5\r\n", .invalidChunkSize),
  (" 5\r\n", .invalidChunkSize),
  (";x\r\n", .invalidChunkSize),
  ("\u{0}5\r\n", .controlByte),
  ("00000000000000000\r\n", .invalidChunkSize),
  ("fffffffffffffffff\r\n", .invalidChunkSize),
  ("5 \r\nhello", .invalidChunkExtension),
  ("5 x\r\nhello", .invalidChunkExtension),
  ("5\nhello\r\n", .bareLineFeed),
  ("5\rhello\r\n", .bareCarriageReturn),
  ("5;x\nhello\r\n", .bareLineFeed),
  ("5;x\rhello\r\n", .bareCarriageReturn),
  ("5;x\u{0}\r\nhello\r\n", .controlByte),
  ("5;x\u{7f}\r\nhello\r\n", .controlByte),
  ("5\r\nhello0\r\n\r\n", .invalidChunkEnd),
  ("5\r\nhello\n", .bareLineFeed),
  ("5\r\nhello\r0", .bareCarriageReturn),
  ("5\r\nhello\r\n\r\n", .invalidChunkSize),
  ("0\r\n X: 1\r\n\r\n", .lineFolding),
  ("0\r\nX: 1\r\n 2\r\n\r\n", .lineFolding),
  ("0\r\nX : 1\r\n\r\n", .whitespaceBeforeColon),
  ("0\r\nX\r\n\r\n", .malformedFieldName),
  ("0\r\n: 1\r\n\r\n", .malformedFieldName),
  ("0\r\nX: 1\n\r\n", .bareLineFeed),
  ("0\r\nX: 1\r2\r\n", .bareCarriageReturn),
  ("0\r\nX: \u{0}\r\n\r\n", .controlByte),
  ("0\r\n\n", .bareLineFeed),
  ("0\r\n\rX", .bareCarriageReturn),
]

@Test("A broken chunked body is refused, however it is cut up", arguments: brokenBodies)
private func brokenBody(_ text: String, _ error: RequestError) {
  let input = bytes(text)
  #expect(decode(input, upTo: [input.count]) == .failed(error))
  #expect(decode(input, upTo: 1...input.count) == .failed(error))
  for split in 0...input.count {
    #expect(decode(input, upTo: [split, input.count]) == .failed(error))
  }
  #expect(error.status == 400)
}

@Test("A broken body stays broken")
func brokenForGood() {
  var decoder = ChunkedDecoder()
  let broken = bytes("x")
  let fine = bytes("0\r\n\r\n")
  #expect(decoder.decode(broken.span) == .failed(.invalidChunkSize))
  #expect(decoder.decode(fine.span) == .failed(.invalidChunkSize))
}

@Test("A chunk of the greatest size does not overflow")
func greatestChunk() {
  var decoder = ChunkedDecoder()
  let size = bytes("ffffffffffffffff\r\n")
  #expect(decoder.decode(size.span) == .needsMore(dataBytes: 0))
  let data = [UInt8](repeating: 0, count: 1 << 20)
  #expect(decoder.decode(data.span) == .needsMore(dataBytes: 1 << 20))
}

@Test("Size lines and trailers are bounded, to the byte")
func chunkLimits() {
  var limits = MessageLimits()
  #expect(limits.chunkSizeLineBytesMax == 256)
  #expect(limits.trailerBytesMax == 8_192)
  limits.chunkSizeLineBytesMax = 10
  limits.trailerBytesMax = 11
  let data = "5\r\nhello\r\n"
  #expect(decode("0;2345678\r\n\r\n", limits: limits) == .failed(.chunkSizeLineTooLong))
  #expect(
    decode("\(data)0;234567\r\n\r\n", limits: limits) == .finished(consumed: 22, dataBytes: 5))
  #expect(decode("0\r\nX: 23456\r\n\r\n", limits: limits) == .failed(.trailerTooLong))
  #expect(
    decode("\(data)0\r\nX: 2345\r\n\r\n", limits: limits) == .finished(consumed: 24, dataBytes: 5))
}

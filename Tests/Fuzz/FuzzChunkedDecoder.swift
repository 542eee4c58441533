import HTTP1

@c(LLVMFuzzerTestOneInput)
func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  // libFuzzer owns `count` bytes at `data` for the length of this call, and no byte more: ASan sees
  // whoever reads behind them.
  let input = unsafe Span(_unsafeElements: UnsafeBufferPointer(start: data, count: count))
  fuzz(input, limits: MessageLimits())
  // Limits that inputs of the usual size run into.
  var narrow = MessageLimits()
  narrow.chunkSizeLineBytesMax = 12
  narrow.trailerBytesMax = 24
  fuzz(input, limits: narrow)
  return 0
}

private func fuzz(_ input: Span<UInt8>, limits: MessageLimits) {
  let count = input.count
  let whole = decode(input, upTo: [count], limits: limits)
  for ends in input.arrivals {
    check(
      decode(input, upTo: ends, limits: limits) == whole,
      "the result does not depend on how the bytes arrive")
  }
  switch whole {
  case .needsMore(let dataBytes):
    check((0...count).contains(dataBytes), "data are among the bytes")
  case .finished(let consumed, let dataBytes):
    check(consumed <= count, "a body is within bounds")
    check(walk(input) == (consumed, dataBytes), "a body ends where a plain reading of it ends")
    check(
      decode(input, upTo: [consumed], limits: limits) == whole, "what follows is not looked at")
    let almost = decode(input, upTo: [consumed - 1], limits: limits)
    check(almost == .needsMore(dataBytes: dataBytes), "every byte of a body counts")
  case .failed(let error):
    check(error.status == 400, "a broken body is a bad request")
  }
}

/// The result over all of the parts that end at `ends`, in the terms of a single call.
private func decode(
  _ input: Span<UInt8>, upTo ends: [Int], limits: MessageLimits
) -> ChunkedResult {
  var decoder = ChunkedDecoder(limits: limits)
  var (start, data) = (0, 0)
  for end in ends {
    switch decoder.decode(input.extracting(start..<end)) {
    case .needsMore(let dataBytes):
      data += dataBytes
      start = end
    case .finished(let consumed, let dataBytes):
      check(consumed <= end - start, "no more is consumed than was given")
      return .finished(consumed: start + consumed, dataBytes: data + dataBytes)
    case .failed(let error):
      return .failed(error)
    }
  }
  return .needsMore(dataBytes: data)
}

/// Another way through a body that is known to be valid: line by line, a line ending at its first CR.
private func walk(_ body: Span<UInt8>) -> (consumed: Int, dataBytes: Int) {
  var (offset, data, isTrailer) = (0, 0, false)
  while true {
    let start = offset
    while body[offset] != 0x0D { offset += 1 }
    let line = String(decoding: (start..<offset).map { body[$0] }, as: UTF8.self)
    offset += 2
    if isTrailer {
      if line.isEmpty { return (offset, data) }
    } else if let size = Int(line.prefix(while: \.isHexDigit), radix: 16), size > 0 {
      data += size
      offset += size + 2
    } else {
      isTrailer = true
    }
  }
}

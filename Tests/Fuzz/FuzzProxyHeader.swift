import ProxyProtocol
import Sys

@c(LLVMFuzzerTestOneInput)
func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  // libFuzzer owns `count` bytes at `data` for the length of this call, and no byte more: ASan sees
  // whoever reads behind them.
  let input = unsafe Span(_unsafeElements: UnsafeBufferPointer(start: data, count: count))
  let results = [ProxyProtocolMode.v1, .v2, .any].map { fuzz(input, mode: $0) }
  if case .complete(let header, _) = results[2] {
    check(results[header.version == .v1 ? 0 : 1] == results[2], "either is any")
    check(
      results[header.version == .v1 ? 1 : 0] == .failed(.wrongVersion), "the other refuses it")
  } else {
    for result in results.dropLast() {
      if case .complete = result { check(false, "either is any") }
    }
  }
  return 0
}

private func fuzz(_ input: Span<UInt8>, mode: ProxyProtocolMode) -> ProxyParseResult {
  guard let parser = ProxyHeaderParser(mode: mode) else { fatalError("a mode without a parser") }
  let whole = parser.parse(input)
  let count = input.count
  switch whole {
  case .incomplete(let needs):
    check(needs > count && needs <= ProxyHeaderParser.headerBytesMax, "more bytes are needed")
  case .complete(let header, let consumed):
    check(consumed <= min(count, ProxyHeaderParser.headerBytesMax), "a header is within bounds")
    check(parser.parse(input.extracting(first: consumed)) == whole, "what follows is not looked at")
    let hasAddresses = header.source != nil && header.destination != nil
    check(hasAddresses == (header.command == .proxy), "a proxied connection has addresses")
    if header.version == .v1 {
      checkLine(header, input.extracting(first: consumed))
    } else if header.command == .proxy {
      checkTLVs(input.extracting(first: consumed))
    }
    for ends in input.arrivals {
      for end in ends where end < consumed {
        guard case .incomplete(let needs) = parser.parse(input.extracting(first: end)) else {
          check(false, "every byte of a header counts")
          continue
        }
        check(needs > end && needs <= consumed, "no byte behind a header is waited for")
      }
    }
  case .failed:
    for ends in input.arrivals {
      var hasFailed = false
      for end in ends {
        let result = parser.parse(input.extracting(first: end))
        if case .incomplete = result {
          check(!hasFailed, "a failure is final")
        } else {
          check(result == whole, "a failure does not depend on how the bytes arrive")
          hasFailed = true
        }
      }
    }
  }
  return whole
}

/// A line of version 1 has one way to be written, but for the addresses of IPv6.
private func checkLine(_ header: ProxyHeader, _ line: Span<UInt8>) {
  check(line.count <= 107, "a line is short")
  guard let source = header.source, let destination = header.destination, line[9] == 0x34 else {
    return
  }
  let canonical =
    "PROXY TCP4 \(source.host) \(destination.host) \(source.port) \(destination.port)\r\n"
  check(Array(canonical.utf8) == line.indices.map { line[$0] }, "a line is canonical")
}

/// The TLVs behind TCP addresses end exactly where the header ends.
private func checkTLVs(_ header: Span<UInt8>) {
  var offset = 16 + (header[13] == 0x11 ? 12 : 36)
  while offset < header.count {
    check(offset + 3 <= header.count, "a TLV has a type and a length")
    offset += 3 + Int(header[offset + 1]) << 8 + Int(header[offset + 2])
  }
  check(offset == header.count, "a TLV ends in its header")
}

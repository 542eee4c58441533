import ProxyProtocol
import Sys

/// Takes a PROXY header from a socket: it stays in the kernel until it is whole, since what follows may be for TLS to read, and
/// then exactly its bytes are taken.
struct ProxyHeaderReader {
  /// What the descriptor's low-water mark was raised to.
  private var lowWater: Int32 = 1

  /// A part of a header is there.
  var hasBegun: Bool { lowWater > 1 }

  /// Looks, and takes the header once it is whole.
  ///
  /// - Parameter seen: what the look before this one showed.
  /// - Returns: what the parser says; nil where `result` says why there is nothing to parse.
  mutating func read(
    _ socket: borrowing StreamSocket, _ pool: BufferPool, _ parser: ProxyHeaderParser,
    seen: Int = 0
  ) -> (result: ReadResult, header: ProxyParseResult?) {
    let (peeked, parsed) = pool.withScratch(atLeast: BufferPool.blockBytes) { output in
      (socket.peek(into: &output), parser.parse(output.span))
    }
    let count: Int
    switch peeked {
    case .bytes(let peeked): count = peeked
    case .wouldBlock: return (.wouldBlock, nil)
    case .endOfStream: return (.endOfStream, nil)
    case .failed: return (.failed(.reset, nil), nil)
    }
    switch parsed {
    case .incomplete(let needs):
      // More is here than a look shows: it came just now, or it lies behind an urgent byte, where no look goes and for which
      // the poller would wake us without end.
      if socket.unreadBytes > count {
        guard count > seen else { return (.bytes, .failed(.notProxyHeader)) }
        return read(socket, pool, parser, seen: count)
      }
      setLowWater(needs, of: socket)
    case .complete(_, let consumed):
      setLowWater(1, of: socket)
      guard case .bytes(consumed) = socket.discard(consumed) else {
        return (.failed(.reset, nil), nil)
      }
    case .failed: break
    }
    return (.bytes, parsed)
  }

  /// Wakes us when more is there than what was peeked at: level-triggered polling would spin on a part of a header.
  private mutating func setLowWater(_ bytes: Int, of socket: borrowing StreamSocket) {
    guard bytes != lowWater else { return }
    lowWater = Int32(clamping: bytes)
    // Where the option cannot be set, the deadline still bounds the wait.
    try? socket.setReceiveLowWater(bytes)
  }
}

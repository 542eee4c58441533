import Sys
import TLS

/// What a read brought, whatever protects the bytes.
enum ReadResult {
  case bytes(Int)
  case wouldBlock
  case endOfStream
  case failed(CloseReason, TLSFailure?)
}

/// A socket, with or without TLS on it.
///
/// What is written gathers in the worker's outbound buffer and leaves in one `send`; what the kernel refuses waits in
/// `unsent`, and goes first.
struct Transport: ~Copyable {
  let socket: StreamSocket
  var session: TLSSession?
  private var unsent: OutboundBuffer?

  init(socket: consuming StreamSocket) {
    self.socket = socket
  }

  /// Bytes that the kernel no longer has, and epoll does not tell of.
  @inline(__always)
  var hasPendingBytes: Bool {
    mutating get { session?.hasPendingBytes ?? false }
  }

  @inline(__always)
  var hasUnsentBytes: Bool { unsent != nil }

  /// Reads what is there, decrypted.
  @inline(__always)
  mutating func read(into output: inout OutputSpan<UInt8>) -> ReadResult {
    if session == nil {
      return switch socket.receive(into: &output) {
      case .bytes(let count): .bytes(count)
      case .wouldBlock: .wouldBlock
      case .endOfStream: .endOfStream
      case .failed: .failed(.reset, nil)
      }
    }
    // `session` was tested just above: the optional chain always runs.
    return switch session?.read(into: &output) {
    case .done(let count): .bytes(count)
    case .wantsRead, nil: .wouldBlock
    case .closed: .endOfStream
    case .failed(let failure):
      .failed(failure.reason == .connectionReset ? .reset : .tlsError, failure)
    }
  }

  /// Sends what is gathered in `outbound`, after what waits since earlier.
  ///
  /// - Returns: `.bytes` when all is out, `.wouldBlock` when some of it waits.
  mutating func flush(_ outbound: OutboundBuffer) -> TransferResult {
    if let waiting = unsent {
      outbound.withBytes { waiting.append($0) }
      outbound.removeAll()
      let result = send(waiting)
      if waiting.isEmpty { unsent = nil }
      return result
    }
    let result = send(outbound)
    if case .wouldBlock = result {
      let waiting = OutboundBuffer(capacity: outbound.count)
      outbound.withBytes { waiting.append($0) }
      unsent = waiting
    }
    outbound.removeAll()
    return result
  }

  private func send(_ buffer: OutboundBuffer) -> TransferResult {
    var total = 0
    while !buffer.isEmpty {
      let result = buffer.withBytes { socket.send($0) }
      guard case .bytes(let count) = result else { return result }
      buffer.consume(count)
      total += count
    }
    return .bytes(total)
  }
}

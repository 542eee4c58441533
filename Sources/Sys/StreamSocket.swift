import CLinux
import Glibc

/// What became of a read or a write on a non-blocking socket.
package enum TransferResult: Equatable, Sendable {
  /// So many bytes were moved; at least 1.
  case bytes(Int)
  case wouldBlock
  /// The peer has closed its side: nothing more will come. Reads only.
  case endOfStream
  /// ECONNRESET, EPIPE, ETIMEDOUT, …
  case failed(SystemError)
}

/// A connected TCP socket, non-blocking. Confined to one thread.
package struct StreamSocket: ~Copyable {
  private let descriptor: FileDescriptor

  package init(descriptor: consuming FileDescriptor) {
    self.descriptor = descriptor
  }

  /// What to register, and what TLS reads from. It stays owned here.
  @inline(__always)
  package var number: Int32 { descriptor.number }

  /// Wakes a poller only when so many bytes wait (SO_RCVLOWAT); 1 is the default.
  package func setReceiveLowWater(_ bytes: Int) throws(SystemError) {
    try setOption(number, SOL_SOCKET, SO_RCVLOWAT, Int32(clamping: bytes))
  }

  /// Reads what has come, up to the free capacity of `output`, which must not be full.
  @inline(__always)
  package func receive(into output: inout OutputSpan<UInt8>) -> TransferResult {
    receive(into: &output, flags: 0)
  }

  /// As `receive`, but the bytes stay where they are (MSG_PEEK).
  package func peek(into output: inout OutputSpan<UInt8>) -> TransferResult {
    receive(into: &output, flags: Int32(MSG_PEEK))
  }

  /// How many bytes have come and are not read.
  package var unreadBytes: Int { max(0, Int(clinux_unread(number))) }

  /// Whether there is something to read now: a byte, or the end of the stream.
  package var isReadable: Bool {
    var byte: UInt8 = 0
    // One byte at most is written, and it stays in the kernel as well.
    let result = unsafe recv(number, &byte, 1, Int32(MSG_PEEK))
    return result >= 0 || (errno != EAGAIN && errno != EINTR)
  }

  /// Everything has left for the peer, and nothing waits in the kernel for room on its side: only that could a reset destroy,
  /// with which the kernel answers what comes after a close.
  package var isOnItsWay: Bool { clinux_unsent(number) == 0 }

  /// Drops up to `bytes` bytes that have come, without copying them (MSG_TRUNC, tcp(7)).
  package func discard(_ bytes: Int) -> TransferResult {
    while true {
      // With MSG_TRUNC the kernel writes nowhere: a null buffer is right.
      let result = recv(number, nil, bytes, Int32(MSG_TRUNC))
      if result > 0 { return .bytes(result) }
      if result == 0 { return .endOfStream }
      let code = errno
      if code == EAGAIN { return .wouldBlock }
      if code != EINTR { return .failed(SystemError("recv", code: code)) }
    }
  }

  private func receive(
    into output: inout OutputSpan<UInt8>, flags: Int32
  ) -> TransferResult {
    guard output.freeCapacity > 0 else {
      assertionFailure("a read needs room")
      return .failed(SystemError("recv", code: EINVAL))
    }
    while true {
      // recv(2) initializes as many bytes as it returns, and no more than there is room for.
      let result = unsafe output.withUnsafeMutableBufferPointer { storage, count in
        guard let base = storage.baseAddress else { return -1 }
        let received = unsafe recv(number, base + count, storage.count - count, flags)
        if received > 0 { count += received }
        return received
      }
      if result > 0 { return .bytes(result) }
      if result == 0 { return .endOfStream }
      let code = errno
      if code == EAGAIN { return .wouldBlock }
      if code != EINTR { return .failed(SystemError("recv", code: code)) }
    }
  }

  /// Sends as much of `bytes` as the kernel takes now; `bytes` must not be empty.
  @inline(__always)
  package func send(_ bytes: Span<UInt8>) -> TransferResult {
    while true {
      // send(2) reads within the span only.
      let result = unsafe bytes.withUnsafeBufferPointer { source in
        unsafe Glibc.send(number, source.baseAddress, source.count, Int32(MSG_NOSIGNAL))
      }
      if result >= 0 { return .bytes(result) }
      let code = errno
      if code == EAGAIN { return .wouldBlock }
      if code != EINTR { return .failed(SystemError("send", code: code)) }
    }
  }

  /// Lets the kernel keep what does not fill a segment until `uncork`, and for a fifth of a second at most
  /// (TCP_CORK, tcp(7)).
  package func cork() {
    // It fails only on a connection that is gone, which the next call tells.
    try? setOption(number, Int32(IPPROTO_TCP), TCP_CORK, 1)
  }

  /// Sends what was kept.
  package func uncork() {
    // As above.
    try? setOption(number, Int32(IPPROTO_TCP), TCP_CORK, 0)
  }

  /// Tells the peer that nothing more comes (FIN); reading goes on.
  package func shutdownWriting() {
    // It fails only on a connection that is gone already, where there is nobody left to tell.
    _ = shutdown(number, Int32(SHUT_WR))
  }
}

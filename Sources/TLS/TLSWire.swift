import Glibc
package import Sys

/// What a TLS session reads from and writes to: the socket, within a budget for each turn, and the connection's send buffer.
///
/// OpenSSL reads in loops of its own (records without data, a flight in pieces), so the budget stands below it: once it is spent
/// the source says "later", and every loop ends. Confined to its worker's thread.
package final class TLSWire {
  /// Steps of OpenSSL's state machine after the handshake that one connection may cost. A key update takes three of them, one
  /// that asks for ours five: the 22nd, or the 14th, is one too many. Each costs us a derivation or an answer and brings
  /// nobody anything; no client needs a dozen.
  package static let idleMessagesMax = 64

  /// Bytes that a client may send before we have answered its ClientHello: twice what post-quantum shares, a ticket with a
  /// client's certificate in it, and what is read ahead come to.
  static let helloBytesMax = 48 << 10

  /// A non-blocking stream socket. It stays its owner's, and outlives the session.
  let descriptor: Int32
  /// Takes what is to be sent.
  let output: ByteBuffer
  /// Bytes that may still be read from the socket in this turn.
  package var bytesLeft = 0
  /// A read was refused since the turn began, for want of budget and not of bytes.
  private(set) var isBudgetSpent = false
  /// Something has come from the peer.
  package private(set) var hasReceived = false
  /// The peer has closed its side.
  private(set) var isAtEnd = false
  /// Why the last read failed: an `errno`, or 0.
  private(set) var systemError: Int32 = 0
  /// The ClientHello has more in it, or is longer, than any client's.
  private(set) var hasRefusedHello = false
  /// Bytes received before anything was sent.
  private var helloBytes = 0
  private var hasSent = false
  /// The output would have outgrown its bound.
  private(set) var hasOverflowed = false
  /// Messages after the handshake that carried no data.
  private var idleMessages = 0

  /// - Parameter output: takes what is to be sent, and says where its bound is.
  package init(descriptor: Int32, output: ByteBuffer) {
    self.descriptor = descriptor
    self.output = output
  }

  /// Gives the session so many bytes to read until the next turn.
  @inline(__always)
  package func beginTurn(bytes: Int) {
    bytesLeft = bytes
    isBudgetSpent = false
  }

  /// Counts a message without data; false where it is one too many.
  func countIdleMessage() -> Bool {
    idleMessages += 1
    return !isFlooded
  }

  /// The peer has sent more messages without data than any client needs.
  var isFlooded: Bool { idleMessages > Self.idleMessagesMax }

  /// Why the session has to end, whatever OpenSSL says; nil where it has not.
  var refusal: TLSFailure.Reason? {
    if isFlooded { return .messageFlood }
    if hasOverflowed { return .sendQueueFull }
    return hasRefusedHello ? .clientHelloTooLarge : nil
  }

  /// What came of a read.
  enum Received {
    case bytes(Int)
    /// Nothing there, or no budget left.
    case later
    case end
  }

  /// Reads into `room` bytes at `pointer`, which are writable.
  @inline(__always)
  @unsafe
  func receive(into pointer: UnsafeMutableRawPointer, room: Int) -> Received {
    let bytes = min(room, bytesLeft)
    guard bytes > 0 else {
      isBudgetSpent = true
      return .later
    }
    while true {
      let result = unsafe recv(descriptor, pointer, bytes, 0)
      if result > 0 {
        bytesLeft -= result
        hasReceived = true
        if !hasSent, isHelloTooLong(result) { return .end }
        return .bytes(result)
      }
      if result == 0 {
        isAtEnd = true
        return .end
      }
      let code = errno
      if code == EAGAIN { return .later }
      if code != EINTR {
        systemError = code
        return .end
      }
    }
  }

  private func isHelloTooLong(_ bytes: Int) -> Bool {
    helloBytes += bytes
    if helloBytes <= Self.helloBytesMax { return false }
    hasRefusedHello = true
    return true
  }

  /// The ClientHello has more in it than any client's.
  func refuseHello() {
    hasRefusedHello = true
  }

  /// Takes bytes to be sent; false where there would be too many.
  @inline(__always)
  func send(_ bytes: Span<UInt8>) -> Bool {
    hasSent = true
    if output.append(bytes) { return true }
    hasOverflowed = true
    return false
  }
}

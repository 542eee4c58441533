import COpenSSL
import Sys

/// The TLS state of one connection, confined to the thread of its worker.
///
///     init ─► handshake ─► read / write ─► closeNotify ─► (deinit)
///                └──────────┴──► failed: its alert, if any, is in the send buffer
///
/// It reads from its wire's socket and writes to its wire's buffer, and does neither the waiting nor
/// the sending: after every call, whatever came of it, the caller sends what is in the buffer (a
/// read can answer a key update, a failure leaves its alert). While something stays unsent the
/// caller does not read on, or a peer could grow the buffer up to its bound. The descriptor is polled
/// level-triggered: a read may leave bytes in the kernel.
///
/// A call out of order is a bug of the caller's and ends the session, not the process.
@safe
package struct TLSSession: ~Copyable {
  private enum Phase {
    case handshaking, open, failed
  }

  // Owned: made in `init`, freed in `deinit`.
  private let ssl: OpaquePointer
  private let wire: TLSWire
  private var phase = Phase.handshaking
  private var hasSentCloseNotify = false
  /// Who judges the client's certificate, and which of its publications has; nil where none is asked for.
  private let clients: ClientTrustStore?
  private var judgedGeneration: UInt64

  /// A session that waits for its ClientHello; throws `.library` where there is no memory left.
  ///
  /// - Parameters:
  ///   - context: kept alive by OpenSSL's own count for as long as the session lives.
  ///   - wire: where it reads and writes; its socket must outlive the session.
  package init(context: TLSContext, wire: TLSWire) throws(TLSError) {
    ERR_clear_error()
    guard let ssl = unsafe context.makeSession() else { throw Self.outOfMemory() }
    guard let bio = unsafe WireBIO.make(wire) else {
      unsafe SSL_free(ssl)
      throw Self.outOfMemory()
    }
    // One reference for both directions, which the session takes over.
    unsafe SSL_set_bio(ssl, bio, bio)
    unsafe SSL_set_accept_state(ssl)
    unsafe self.ssl = ssl
    self.wire = wire
    clients = context.clients
    judgedGeneration = clients?.generation ?? 0
  }

  deinit {
    // What was decrypted and never read goes with the buffer that it lies in.
    if unsafe SSL_pending(ssl) > 0 { unsafe copenssl_wipe_plaintext(ssl, 1) }
    unsafe SSL_free(ssl)
  }

  private static func outOfMemory() -> TLSError {
    .library(reason: OpenSSLError.takeFirst()?.text ?? "out of memory")
  }
}

// MARK: - Steps

extension TLSSession {
  /// Takes the handshake as far as the bytes received allow; `.done(0)` when it is complete.
  package mutating func handshake() -> TLSProgress {
    guard phase == .handshaking else { return outOfOrder("a handshake happens once") }
    let waiting = unsafe attempt { ssl in unsafe SSL_do_handshake(ssl) }
    if let waiting { return waiting }
    phase = .open
    unsafe IdleMessages.watch(ssl)
    return .done(0)
  }

  /// Appends what the peer sent to `output`: at least a byte, at most its free capacity, which must
  /// not be 0, and at most one record.
  package mutating func read(into output: inout OutputSpan<UInt8>) -> TLSProgress {
    guard phase == .open, !output.isFull else {
      return outOfOrder("a session is read between its handshake and its failure, with room")
    }
    var bytesRead = 0
    // The buffer is the whole span, of which the first `count` bytes are initialized; OpenSSL fills
    // the rest from its front and says how far.
    let waiting = unsafe output.withUnsafeMutableBufferPointer { buffer, count in
      let free = unsafe buffer.baseAddress.map { unsafe $0 + count }
      let room = buffer.count - count
      unsafe copenssl_wipe_plaintext(ssl, 1)
      let waiting = unsafe attempt { ssl in unsafe SSL_read_ex(ssl, free, room, &bytesRead) }
      unsafe copenssl_wipe_plaintext(ssl, 0)
      count += bytesRead
      return waiting
    }
    return waiting ?? .done(bytesRead)
  }

  /// Encrypts all of `bytes` into the send buffer.
  package mutating func write(_ bytes: Span<UInt8>) -> TLSProgress {
    guard phase == .open, !hasSentCloseNotify else {
      return outOfOrder("a session is written to until it closes or fails")
    }
    if bytes.isEmpty { return .done(0) }
    var bytesWritten = 0
    // The span is readable for the length of the call, and OpenSSL keeps no pointer to it: the sink
    // never blocks, so there is nothing to try again.
    let waiting = unsafe bytes.withUnsafeBufferPointer { buffer in
      unsafe attempt { ssl in
        unsafe SSL_write_ex(ssl, buffer.baseAddress, buffer.count, &bytesWritten)
      }
    }
    return waiting ?? .done(bytesWritten)
  }

  /// Puts close_notify in the send buffer, once; the other direction stays open. Does nothing
  /// before the end of the handshake and after a failure, where OpenSSL forbids it.
  package mutating func closeNotify() {
    if phase != .open || hasSentCloseNotify { return }
    hasSentCloseNotify = true
    _ = unsafe attempt { ssl in
      // 0 says that the peer's close_notify is still to come, which is not waited for here.
      unsafe SSL_shutdown(ssl) >= 0 ? 1 : -1
    }
  }

  /// Gives the two record buffers back, some 21 KiB, until the next read or write; does nothing while
  /// a part of a record is in one of them.
  package mutating func releaseBuffers() {
    _ = unsafe SSL_free_buffers(ssl)
  }

  /// Clears the error queue, calls, asks OpenSSL what became of it, and maps that: the only place
  /// that does.
  ///
  /// Nil stands for success. The queue is empty again afterwards, so that nothing is charged to the
  /// next session.
  @inline(__always)
  private mutating func attempt(_ operation: (OpaquePointer) -> Int32) -> TLSProgress? {
    // Clearing walks sixteen entries; asking first costs a twentieth of that and the queue is
    // nearly always empty.
    if ERR_peek_error() != 0 { ERR_clear_error() }
    let result = unsafe operation(ssl)
    if result > 0 { return nil }
    return explain(result)
  }

  @inline(never)
  private mutating func explain(_ result: Int32) -> TLSProgress {
    let error = unsafe SSL_get_error(ssl, result)
    if let reason = wire.refusal { return fail(TLSFailure(reason)) }
    switch error {
    case SSL_ERROR_WANT_READ:
      return wire.isBudgetSpent ? .budgetSpent : .wantsRead
    case SSL_ERROR_ZERO_RETURN:
      return .closed
    case SSL_ERROR_SYSCALL where wire.systemError == 0:
      return .closed
    case SSL_ERROR_SYSCALL:
      return fail(TLSFailure(systemError: wire.systemError))
    default:
      return fail(unsafe TLSFailure(OpenSSLError.takeFirst(), of: ssl))
    }
  }

  private mutating func fail(_ failure: TLSFailure) -> TLSProgress {
    phase = .failed
    ERR_clear_error()
    return .failed(failure)
  }

  private mutating func outOfOrder(_ rule: StaticString) -> TLSProgress {
    wire.output.faults.report(rule)
    return fail(TLSFailure(.internalError))
  }
}

// MARK: - Questions

extension TLSSession {
  /// True where bytes already taken from the descriptor wait to be read, of which polling knows
  /// nothing.
  ///
  /// They may be part of a record: a read that answers `.wantsRead` has used up what can be used.
  package var hasPendingBytes: Bool { unsafe SSL_has_pending(ssl) == 1 }

  /// The version agreed on; before the end of the handshake, the highest on offer.
  package var protocolVersion: TLSVersion {
    unsafe TLSVersion(rawValue: SSL_version(ssl)) ?? .tls13
  }

  /// True where the handshake used a ticket of an earlier session.
  package var isResumed: Bool { unsafe SSL_session_reused(ssl) == 1 }

  /// Whether the client would be let in today; one that has shown no certificate would. Judges again where authorities or
  /// revocation lists were replaced since it last did.
  @inline(__always)
  package mutating func isClientTrusted() -> Bool {
    guard let clients, clients.generation != judgedGeneration else { return true }
    return judgeClient(clients)
  }

  @inline(never)
  private mutating func judgeClient(_ clients: ClientTrustStore) -> Bool {
    // Asked first: what is published meanwhile judges the next time.
    let generation = clients.generation
    guard unsafe clients.isTrusted(ssl) else { return false }
    judgedGeneration = generation
    return true
  }

  /// The subject of the client's certificate in RFC 2253 form, for a log; nil where it showed none.
  /// In a resumed session it is that of the handshake the session began with.
  package var clientSubject: String? {
    // The certificate is the session's, and the text a copy.
    guard let certificate = unsafe SSL_get0_peer_certificate(ssl) else { return nil }
    return unsafe CertificateFacts.text(of: X509_get_subject_name(certificate))
  }
}

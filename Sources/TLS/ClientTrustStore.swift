import COpenSSL
import Synchronization

/// The one place where clients' certificates are judged, whatever context a connection began with: a list that is
/// loaded judges the clients that are here, and no context keeps an old one.
package final class ClientTrustStore: Sendable {
  private let current: Mutex<ClientTrust>
  /// Replaced, and perhaps still judging: freeing a long list takes longer than a worker may.
  private let retired = Mutex<[ClientTrust]>([])
  private let published = Atomic<UInt64>(1)

  init(_ trust: ClientTrust) {
    current = Mutex(trust)
  }

  /// Counts publications: whoever was judged by an earlier one has to be judged again.
  @inline(__always)
  package var generation: UInt64 { published.load(ordering: .acquiring) }

  func load() -> ClientTrust {
    current.withLock { $0 }
  }

  /// Makes `trust` judge everybody from now on.
  func publish(_ trust: ClientTrust) {
    let old = current.withLock { current in
      defer { current = trust }
      return current
    }
    retired.withLock { $0.append(old) }
    published.add(1, ordering: .releasing)
  }

  /// Frees what was replaced and judges nobody any more. For the thread that publishes.
  func releaseRetired() {
    retired.withLock { retired in
      for index in retired.indices.reversed() where isKnownUniquelyReferenced(&retired[index]) {
        retired.remove(at: index)
      }
    }
  }

  // MARK: - As OpenSSL sees it

  /// Has `context` ask for and judge client certificates, in every handshake and every resumption.
  ///
  /// - Parameter trust: what the context tells clients of; it may not be published yet.
  func install(_ trust: ClientTrust, in context: OpaquePointer) throws(TLSError) {
    let isNamed = unsafe trust.authorities.pointers.allSatisfy { authority in
      unsafe SSL_CTX_add_client_CA(context, authority) == 1
    }
    guard isNamed else { throw .library(reason: "refused a client CA") }
    try unsafe ContextAttachment.clients.attach(self, to: context)
    let required = trust.verification.mode == .required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0
    unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER | required, nil)
    unsafe SSL_CTX_set_cert_verify_callback(context, Self.verify, nil)
    guard unsafe SSL_CTX_set_session_ticket_cb(context, nil, Self.judgeTicket, nil) == 1 else {
      throw .library(reason: "refused a ticket callback")
    }
  }

  /// OpenSSL's verdict on the client of `ssl`, who showed `certificate`.
  private func judge(
    _ certificate: OpaquePointer, intermediates: OpaquePointer?, of ssl: OpaquePointer
  ) -> Int32 {
    // The session is the caller's, and alive.
    let level = unsafe SSL_get_security_level(ssl)
    return unsafe load().judge(certificate, intermediates: intermediates, securityLevel: level)
  }

  /// Whether the client of `ssl`, whose handshake is over, would be served today; one without a certificate would.
  func isTrusted(_ ssl: OpaquePointer) -> Bool {
    // Both are the session's.
    guard let certificate = unsafe SSL_get0_peer_certificate(ssl) else { return true }
    let intermediates = unsafe SSL_get_peer_cert_chain(ssl)
    return unsafe judge(certificate, intermediates: intermediates, of: ssl) == X509_V_OK
  }

  /// The store that `install` gave the context of `ssl`.
  private static func of(_ ssl: OpaquePointer) -> ClientTrustStore? {
    unsafe ContextAttachment.clients.object(of: ssl, as: ClientTrustStore.self)
  }

  private static let verify: @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?) -> Int32 = {
    verification, _ in
    // OpenSSL passes the verification it has prepared, with the session that it is for, the client's certificate and
    // what came with it.
    let index = SSL_get_ex_data_X509_STORE_CTX_idx()
    guard let ssl = unsafe OpaquePointer(X509_STORE_CTX_get_ex_data(verification, index)),
      let store = unsafe of(ssl), let certificate = unsafe X509_STORE_CTX_get0_cert(verification)
    else { return 0 }
    let error = unsafe store.judge(
      certificate, intermediates: X509_STORE_CTX_get0_untrusted(verification), of: ssl)
    unsafe X509_STORE_CTX_set_error(verification, error)
    return error == X509_V_OK ? 1 : 0
  }

  /// Judges the client certificate in a ticket by the authorities, lists and time of now: what a full
  /// handshake would refuse does not resume, and gets a full handshake that says why. A ticket holds no intermediates:
  /// a client that needs some has a full handshake each time.
  private static let judgeTicket:
    @convention(c) (
      OpaquePointer?, OpaquePointer?, UnsafePointer<UInt8>?, Int, SSL_TICKET_STATUS,
      UnsafeMutableRawPointer?
    ) -> SSL_TICKET_RETURN = { ssl, session, _, _, status, _ in
      guard status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW,
        let ssl = unsafe ssl, let store = unsafe of(ssl)
      else { return SSL_TICKET_RETURN_IGNORE_RENEW }
      // OpenSSL passes the session it has just decrypted; the certificate is the session's.
      if let certificate = unsafe SSL_SESSION_get0_peer(session) {
        guard unsafe store.judge(certificate, intermediates: nil, of: ssl) == X509_V_OK else {
          return SSL_TICKET_RETURN_IGNORE_RENEW
        }
      }
      return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW
    }
}

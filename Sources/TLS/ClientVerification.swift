import COpenSSL

/// Whether clients are asked for a certificate, and what it must be.
package struct ClientVerification: Equatable, Sendable {
  /// What becomes of a client without a certificate; one that is sent must be right in any case.
  package enum Mode: String, CaseIterable, Sendable {
    /// It is served.
    case optional
    /// It is refused.
    case required
  }

  /// Whether a client may come without a certificate.
  package var mode: Mode
  /// PEM certificates; each is trusted in itself, a root or not, and its name is sent as a hint.
  package var authoritiesPath: String
  /// PEM revocation lists; nil for no such check. There must be one of each authority that signs
  /// clients.
  package var revocationListsPath: String?
  /// The most intermediate certificates between a client's and a trusted one.
  package var depth: Int

  /// - Parameters: as the properties of the same names.
  package init(
    mode: Mode, authoritiesPath: String, revocationListsPath: String? = nil, depth: Int = 4
  ) {
    self.mode = mode
    self.authoritiesPath = authoritiesPath
    self.revocationListsPath = revocationListsPath
    self.depth = depth
  }
}

/// The certificate revocation lists of one file; at least one.
///
/// `@unchecked` is right because a list is only read once it is parsed, and counted atomically by
/// OpenSSL.
@safe
final class RevocationLists: @unchecked Sendable {
  /// Valid as long as this object is.
  let pointers: [OpaquePointer]

  /// Takes over one reference of each.
  init(owning pointers: [OpaquePointer]) {
    unsafe self.pointers = pointers
  }

  deinit {
    unsafe pointers.forEach { unsafe X509_CRL_free($0) }
  }

  func findings(path: String, at now: Int64) -> [TLSFinding] {
    // The lists, their names and times are valid as long as this object is.
    unsafe pointers.compactMap { list in
      let nextUpdate = unsafe CertificateFacts.seconds(X509_CRL_get0_nextUpdate(list))
      if nextUpdate >= now { return nil }
      let issuer = unsafe CertificateFacts.text(of: X509_CRL_get_issuer(list))
      return .revocationListExpired(path: path, issuer: issuer, nextUpdate: nextUpdate)
    }
  }
}

/// The files a `ClientVerification` names, loaded. Immutable.
final class ClientAuthorities: Sendable {
  private let verification: ClientVerification
  private let authorities: CertificateChain
  private let lists: RevocationLists?

  init(_ verification: ClientVerification) throws(TLSError) {
    self.verification = verification
    authorities = try PEMFile(path: verification.authoritiesPath).certificates()
    if let path = verification.revocationListsPath {
      lists = try PEMFile(path: path).revocationLists()
    } else {
      lists = nil
    }
  }

  /// In one line, for an operator.
  var description: String {
    let lists = verification.revocationListsPath.map { ", revoked by \($0)" } ?? ""
    return "\(verification.mode.rawValue), of \(verification.authoritiesPath)\(lists), "
      + "at most \(verification.depth) intermediates"
  }

  func findings(at now: Int64) -> [TLSFinding] {
    lists?.findings(path: verification.revocationListsPath ?? "", at: now) ?? []
  }

  /// Has `context` ask for and judge client certificates, in every handshake and every resumption.
  func install(in context: OpaquePointer) throws(TLSError) {
    guard let store = unsafe X509_STORE_new() else { throw .library(reason: "out of memory") }
    // The context takes over our reference of the store; what is added is counted.
    unsafe SSL_CTX_set_cert_store(context, store)
    var isInstalled = unsafe authorities.pointers.allSatisfy { authority in
      unsafe X509_STORE_add_cert(store, authority) == 1
        && SSL_CTX_add_client_CA(context, authority) == 1
    }
    var flags = UInt(X509_V_FLAG_PARTIAL_CHAIN)
    if let lists {
      flags |= UInt(X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL)
      let areAdded = unsafe lists.pointers.allSatisfy { unsafe X509_STORE_add_crl(store, $0) == 1 }
      isInstalled = isInstalled && areAdded
    }
    guard isInstalled, unsafe X509_STORE_set_flags(store, flags) == 1 else {
      throw .library(reason: OpenSSLError.takeFirst()?.text ?? "refused a client CA")
    }
    unsafe X509_STORE_set_verify_cb(store, excuseAuthorities)
    let required = verification.mode == .required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0
    unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER | required, nil)
    unsafe SSL_CTX_set_verify_depth(context, Int32(clamping: verification.depth))
    guard unsafe SSL_CTX_set_session_ticket_cb(context, nil, judgeTicket, nil) == 1 else {
      throw .library(reason: "refused a ticket callback")
    }
  }

  /// What a session must share with the context that resumes it: the mode, the depth and the
  /// authorities, hashed, so that a changed client CA starts afresh. Revocation lists are not in
  /// it: they are asked at every resumption.
  var sessionIdentity: [UInt8] {
    var text = Array("\(verification.mode.rawValue) \(verification.depth)".utf8)
    var digest = [UInt8](repeating: 0, count: 32)
    // SHA-256 fills 32 bytes; the certificates are valid as long as this object is.
    unsafe authorities.pointers.forEach { authority in
      unsafe X509_digest(authority, EVP_sha256(), &digest, nil)
      text += digest
    }
    unsafe EVP_Digest(text, text.count, &digest, nil, EVP_sha256(), nil)
    return digest
  }
}

/// Lets an authority pass for whose issuer there is no revocation list; a client's own issuer must
/// have one.
private func excuseAuthorities(_ isSound: Int32, _ verification: OpaquePointer?) -> Int32 {
  // OpenSSL passes the verification under way.
  let depth = unsafe X509_STORE_CTX_get_error_depth(verification)
  if isSound == 1 || depth == 0 { return isSound }
  guard unsafe X509_STORE_CTX_get_error(verification) == X509_V_ERR_UNABLE_TO_GET_CRL else {
    return 0
  }
  unsafe X509_STORE_CTX_set_error(verification, X509_V_OK)
  return 1
}

/// Judges the client certificate in a ticket by the authorities, lists and time of now: what a full
/// handshake would refuse does not resume, and gets a full handshake that says why.
private func judgeTicket(
  _ ssl: OpaquePointer?, _ session: OpaquePointer?, _ keyName: UnsafePointer<UInt8>?, _ count: Int,
  _ status: SSL_TICKET_STATUS, _ argument: UnsafeMutableRawPointer?
) -> SSL_TICKET_RETURN {
  guard status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW else {
    return SSL_TICKET_RETURN_IGNORE_RENEW
  }
  // OpenSSL passes the session it has just decrypted; the certificate is the session's and the
  // store the context's.
  if let certificate = unsafe SSL_SESSION_get0_peer(session) {
    let store = unsafe SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl))
    guard unsafe isTrusted(certificate, by: store, depth: SSL_get_verify_depth(ssl)) else {
      return SSL_TICKET_RETURN_IGNORE_RENEW
    }
  }
  return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW
}

/// A ticket holds no intermediates: a client that needs some has a full handshake each time.
private func isTrusted(
  _ certificate: OpaquePointer, by store: OpaquePointer?, depth: Int32
) -> Bool {
  guard let verification = unsafe X509_STORE_CTX_new() else { return false }
  // Ours to free; it borrows the store and the certificate.
  defer {
    unsafe X509_STORE_CTX_free(verification)
    ERR_clear_error()
  }
  guard unsafe X509_STORE_CTX_init(verification, store, certificate, nil) == 1,
    unsafe X509_STORE_CTX_set_default(verification, "ssl_client") == 1
  else { return false }
  unsafe X509_STORE_CTX_set_depth(verification, depth)
  return unsafe X509_verify_cert(verification) == 1
}

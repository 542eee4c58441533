import COpenSSL

/// Whose certificates clients may have, and which of them are revoked: loaded, and ready to judge. Immutable.
///
/// `@unchecked` is right because nothing is added to the store after `init`, and OpenSSL locks what it caches there.
@safe
final class ClientTrust: @unchecked Sendable {
  /// The most bytes of the authorities' names: each handshake tells clients all of them, in a message whose extensions take less than
  /// 64 KiB together (RFC 8446 §4.3.2 and §4.2.4, RFC 5246 §7.4.4). Beyond it OpenSSL refuses every client.
  static let namesBytesMax = 65_000

  let verification: ClientVerification
  let authorities: CertificateChain
  private let lists: [RevocationList]
  // Owned: made in `init`, freed in `deinit`, before the lists that it refers to.
  private let store: OpaquePointer

  init(
    _ verification: ClientVerification, _ authorities: CertificateChain, _ lists: [RevocationList]
  ) throws(TLSError) {
    let namesBytes = unsafe authorities.pointers.reduce(0) { sum, authority in
      // Two bytes stand before each name; null has OpenSSL only measure.
      sum + 2 + max(0, Int(unsafe i2d_X509_NAME(X509_get_subject_name(authority), nil)))
    }
    guard namesBytes <= Self.namesBytesMax else {
      throw .unusable(
        path: verification.authoritiesPath,
        reason:
          "the names in it take \(namesBytes) bytes, and a handshake has room for \(Self.namesBytesMax)"
      )
    }
    self.verification = verification
    self.authorities = authorities
    self.lists = lists
    guard let store = unsafe X509_STORE_new() else { throw .library(reason: "out of memory") }
    unsafe self.store = store
    var flags = UInt(X509_V_FLAG_PARTIAL_CHAIN)
    if verification.revocationListsPath != nil {
      flags |= UInt(X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL)
    }
    // The store counts what is added.
    let isMade =
      unsafe authorities.pointers.allSatisfy { unsafe X509_STORE_add_cert(store, $0) == 1 }
      && lists.allSatisfy { unsafe X509_STORE_add_crl(store, $0.pointer) == 1 }
      && X509_STORE_set_flags(store, flags) == 1
    guard isMade else {
      throw .library(reason: OpenSSLError.takeFirst()?.text ?? "refused a client CA")
    }
    unsafe X509_STORE_set_verify_cb(store, excuseAuthorities)
  }

  deinit {
    unsafe X509_STORE_free(store)
  }

  /// OpenSSL's verdict (X509_V_OK, or why not) on a client's certificate, at this moment.
  ///
  /// - Parameters:
  ///   - intermediates: what the client sent with it, a stack; nil for none.
  ///   - securityLevel: what keys and signatures have to come up to.
  func judge(
    _ certificate: OpaquePointer, intermediates: OpaquePointer?, securityLevel: Int32
  ) -> Int32 {
    guard let verification = unsafe X509_STORE_CTX_new() else { return X509_V_ERR_OUT_OF_MEM }
    ERR_set_mark()
    // Ours to free; it borrows the store, the certificate and the stack.
    defer {
      unsafe X509_STORE_CTX_free(verification)
      ERR_pop_to_mark()
    }
    guard unsafe X509_STORE_CTX_init(verification, store, certificate, intermediates) == 1,
      unsafe X509_STORE_CTX_set_default(verification, "ssl_client") == 1
    else { return X509_V_ERR_UNSPECIFIED }
    unsafe X509_STORE_CTX_set_depth(verification, Int32(clamping: self.verification.depth))
    unsafe X509_VERIFY_PARAM_set_auth_level(
      X509_STORE_CTX_get0_param(verification), securityLevel)
    if unsafe X509_verify_cert(verification) == 1 { return X509_V_OK }
    let error = unsafe X509_STORE_CTX_get_error(verification)
    return error == X509_V_OK ? X509_V_ERR_UNSPECIFIED : error
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

  // MARK: - For the operator

  /// In one line.
  var description: String {
    let lists = verification.revocationListsPath.map { ", revoked by \($0)" } ?? ""
    return "\(verification.mode.rawValue), of \(verification.authoritiesPath)\(lists), "
      + "at most \(verification.depth) intermediates"
  }

  func findings(at now: Int64) -> [TLSFinding] {
    let path = verification.revocationListsPath ?? ""
    let signed = Set(lists.filter(\.isVerified).map(\.issuer))
    let flaws = lists.filter { !signed.contains($0.issuer) }.compactMap { $0.flaw(path: path) }
    return expiring.compactMap { $0.finding(at: now) } + flaws + untimely(path: path, at: now)
      + unlisted(path: path)
  }

  /// Issuers whose lists are all of the future: the first of each.
  private func untimely(path: String, at now: Int64) -> [TLSFinding] {
    Dictionary(grouping: lists, by: \.issuer).sorted { $0.key < $1.key }.compactMap {
      issuer, lists in
      guard let first = lists.map(\.lastUpdate).min(), first > now else { return nil }
      return .revocationListNotYetValid(path: path, issuer: issuer, lastUpdate: first)
    }
  }

  /// Authorities without a list, but for those that have issued another of the file, and so perhaps nothing else.
  private func unlisted(path: String) -> [TLSFinding] {
    guard verification.revocationListsPath != nil else { return [] }
    let listed = Set(lists.map(\.issuer))
    let facts = authorities.facts
    let issuers = Set(facts.filter { $0.subject != $0.issuer }.map(\.issuer))
    var seen: Set<String> = []
    return facts.map(\.subject).filter { subject in
      !listed.contains(subject) && !issuers.contains(subject) && seen.insert(subject).inserted
    }.map { .revocationListMissing(path: path, issuer: $0) }
  }

  /// The authorities and the lists; of the whole lists that one key has signed the newest, since that is asked first.
  var expiring: [Expiring] {
    let path = verification.revocationListsPath ?? ""
    var newest: [String: RevocationList] = [:]
    for list in lists where !list.isPartial {
      if list.lastUpdate > newest[list.authorship]?.lastUpdate ?? .min {
        newest[list.authorship] = list
      }
    }
    let asked = lists.filter { $0.isPartial || newest[$0.authorship] === $0 }
    let authorities = authorities.facts.map { facts in
      Expiring.certificate(.clientAuthority, path: verification.authoritiesPath, facts)
    }
    return authorities + asked.compactMap { $0.expiring(path: path) }
  }
}

/// Lets an authority pass for whose issuer there is no revocation list at all; a client's own issuer must
/// have one. A list of that name that cannot be asked, whatever keeps it from that, is no excuse.
private func excuseAuthorities(_ isSound: Int32, _ verification: OpaquePointer?) -> Int32 {
  // OpenSSL passes the verification under way.
  let depth = unsafe X509_STORE_CTX_get_error_depth(verification)
  if isSound == 1 || depth == 0 { return isSound }
  guard unsafe X509_STORE_CTX_get_error(verification) == X509_V_ERR_UNABLE_TO_GET_CRL,
    let certificate = unsafe X509_STORE_CTX_get_current_cert(verification)
  else { return 0 }
  // A stack of new references, or nil; both are ours to free.
  let lists = unsafe X509_STORE_CTX_get1_crls(verification, X509_get_issuer_name(certificate))
  defer { unsafe OPENSSL_sk_pop_free(lists) { unsafe X509_CRL_free(OpaquePointer($0)) } }
  if unsafe OPENSSL_sk_num(lists) > 0 { return 0 }
  unsafe X509_STORE_CTX_set_error(verification, X509_V_OK)
  return 1
}

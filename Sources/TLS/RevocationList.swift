import COpenSSL
import Synchronization

/// A certificate revocation list. Immutable.
///
/// OpenSSL hashes a whole list in every handshake that asks it, before it knows whether the certificate is genuine, and
/// sorts it in the first one: many milliseconds of a worker's time for 20 MiB. So a list is verified and sorted once,
/// here, and from then on answers whose signature it bears by comparing keys, and whether a serial number is on it by a
/// binary search.
///
/// `@unchecked` is right because a list is only read once `init` is done, and counted atomically by OpenSSL.
@safe
final class RevocationList: @unchecked Sendable {
  /// The most bytes of a list that nobody in the client CA file has signed: it is verified in each handshake. One that
  /// is longer speaks for nobody, and the clients of its issuer are refused.
  static let unverifiedBytesMax = 1 << 20
  /// The most lists of one file: OpenSSL sorts what it has with each that is added.
  static let countMax = 1024

  /// Held by whoever decodes lists: how one answers depends on a setting of the whole process at that moment.
  static let decoding = Mutex(())

  /// Valid as long as this object is.
  let pointer: OpaquePointer
  /// The authorities hold the keys that `signers` point to.
  private let authorities: CertificateChain
  private let signers: [OpaquePointer]
  /// In RFC 2253 form.
  let issuer: String
  /// In seconds since 1970-01-01T00:00:00Z.
  let lastUpdate: Int64
  /// An authority of the list's name is there, whoever has signed it.
  private let hasNamesake: Bool
  private let isLong: Bool

  /// Takes over one reference of `list`, also where it throws.
  ///
  /// - Parameters:
  ///   - authorities: who may have signed it.
  ///   - path: where it was read.
  /// - Throws: `.unusable` where it is not whole, and so takes back what another says.
  init(owning list: OpaquePointer, _ authorities: CertificateChain, path: String) throws(TLSError) {
    self.authorities = authorities
    // All pointers are the list's or the authorities', and valid as long as these are.
    let name = unsafe X509_CRL_get_issuer(list)
    issuer = unsafe CertificateFacts.text(of: name)
    lastUpdate = unsafe CertificateFacts.seconds(X509_CRL_get0_lastUpdate(list))
    let namesakes = unsafe authorities.pointers.filter { authority in
      unsafe X509_NAME_cmp(X509_get_subject_name(authority), name) == 0
    }
    let signers = unsafe namesakes.compactMap { unsafe X509_get0_pubkey($0) }.filter { key in
      unsafe X509_CRL_verify(list, key) == 1
    }
    ERR_clear_error()
    unsafe self.signers = signers
    hasNamesake = unsafe !namesakes.isEmpty
    isLong = unsafe i2d_X509_CRL(list, nil) > Self.unverifiedBytesMax
    if unsafe Self.isDelta(list) {
      unsafe X509_CRL_free(list)
      throw .unusable(
        path: path, reason: "the list of `\(issuer)` is a delta, and only whole ones are asked")
    }
    if unsafe signers.isEmpty, !isLong {
      unsafe pointer = list
      return
    }
    guard let indexed = unsafe Self.indexed(list) else {
      throw .library(reason: OpenSSLError.takeFirst()?.text ?? "out of memory")
    }
    unsafe pointer = indexed
    // Read by `isSigned` alone, which is called by whoever verifies with this object's list.
    unsafe X509_CRL_set_meth_data(indexed, Unmanaged.passUnretained(self).toOpaque())
  }

  /// It changes another list (RFC 5280 §5.2.4), or has an entry that would: OpenSSL would take it for a whole one.
  private static func isDelta(_ list: OpaquePointer) -> Bool {
    // The list is the caller's, and its entries its own.
    if unsafe X509_CRL_get_ext_by_NID(list, NID_delta_crl, -1) >= 0 { return true }
    guard let revoked = unsafe X509_CRL_get_REVOKED(list) else { return false }
    return unsafe (0..<OPENSSL_sk_num(revoked)).contains { index in
      let entry = unsafe OpaquePointer(OPENSSL_sk_value(revoked, index))
      if unsafe X509_REVOKED_get0_extensions(entry) == nil { return false }
      // New, or nil where the entry has no reason: ours to free.
      let reason = unsafe X509_REVOKED_get_ext_d2i(entry, NID_crl_reason, nil, nil)
      let value = unsafe reason?.assumingMemoryBound(to: ASN1_ENUMERATED.self)
      defer { unsafe ASN1_ENUMERATED_free(value) }
      return unsafe reason != nil && ASN1_ENUMERATED_get(value) == Int(CRL_REASON_REMOVE_FROM_CRL)
    }
  }

  deinit {
    unsafe X509_CRL_free(pointer)
  }

  /// An authority of the configuration has signed it.
  var isVerified: Bool { unsafe !signers.isEmpty }

  /// The same for lists of one issuer by one key.
  var authorship: String { unsafe "\(issuer) \(signers.first.hashValue)" }

  /// Nil for a list that never ends.
  func expiring(path: String) -> Expiring? {
    // The list and its times are valid as long as this object is.
    guard let end = unsafe X509_CRL_get0_nextUpdate(pointer) else { return nil }
    return unsafe .revocationList(
      path: path, issuer: issuer, lastUpdate: lastUpdate,
      nextUpdate: CertificateFacts.seconds(end))
  }

  /// It speaks of some of its issuer's certificates only (RFC 5280 §5.2.5): others of that issuer do not replace it.
  var isPartial: Bool {
    // As above.
    unsafe X509_CRL_get_ext_by_NID(pointer, NID_issuing_distribution_point, -1) >= 0
  }

  /// Why it speaks for nobody; nil where it does.
  func flaw(path: String) -> TLSFinding? {
    if isVerified { return nil }
    if hasNamesake { return .revocationListForged(path: path, issuer: issuer) }
    return isLong ? .revocationListUnverified(path: path, issuer: issuer) : nil
  }

  // MARK: - As OpenSSL sees it

  /// How the lists that are verified answer; nil where OpenSSL had no memory for it.
  ///
  /// Written here and nowhere else, then only read by OpenSSL, from any thread.
  nonisolated(unsafe) private static let method: OpaquePointer? =
    unsafe X509_CRL_METHOD_new(nil, nil, find, isSigned)

  /// A sorted copy that answers by `method`; takes over the reference of `list`. Nil where there is no memory.
  private static func indexed(_ list: OpaquePointer) -> OpaquePointer? {
    var bytes: UnsafeMutablePointer<UInt8>?
    // OpenSSL allocates what it encodes: ours to free. The copy has no pointer into it.
    let count = unsafe i2d_X509_CRL(list, &bytes)
    unsafe X509_CRL_free(list)
    defer { unsafe CRYPTO_free(bytes, #fileID, #line) }
    guard count > 0, let method = unsafe method else { return nil }
    var start = unsafe UnsafePointer(bytes)
    // `decoding` is held. What another library decodes meanwhile has no object of ours behind it, and `isSigned` says no.
    unsafe X509_CRL_set_default_method(method)
    defer { X509_CRL_set_default_method(nil) }
    guard let copy = unsafe d2i_X509_CRL(nil, &start, Int(count)) else { return nil }
    // The stack compares as `find` does (X509_REVOKED_cmp); nil where nothing is revoked.
    if let revoked = unsafe X509_CRL_get_REVOKED(copy) { unsafe OPENSSL_sk_sort(revoked) }
    return unsafe copy
  }

  /// Whether `key` has signed the list, as was verified when it was loaded.
  private static let isSigned: @convention(c) (OpaquePointer?, OpaquePointer?) -> Int32 = {
    list, key in
    guard let data = unsafe X509_CRL_get_meth_data(list) else { return 0 }
    // `init` put it there, and the list is asked by those who hold the object.
    let this = unsafe Unmanaged<RevocationList>.fromOpaque(data).takeUnretainedValue()
    return unsafe this.signers.contains { unsafe EVP_PKEY_eq($0, key) == 1 } ? 1 : 0
  }

  /// Finds a serial number: 1 where it is on the list, and then its entry. A list of ours is its issuer's own, since
  /// OpenSSL takes no indirect one, and is whole, so that an entry never means the end of a revocation: see `isDelta`.
  private static let find:
    @convention(c) (
      OpaquePointer?, UnsafeMutablePointer<OpaquePointer?>?, UnsafePointer<ASN1_INTEGER>?,
      OpaquePointer?
    ) -> Int32 = { list, entry, serial, _ in
      // Sorted by `indexed`, then only read.
      guard let revoked = unsafe X509_CRL_get_REVOKED(list) else { return 0 }
      var (low, high) = (Int32(0), unsafe OPENSSL_sk_num(revoked))
      while low < high {
        let middle = low + (high - low) / 2
        let candidate = unsafe OpaquePointer(OPENSSL_sk_value(revoked, middle))
        let order = unsafe ASN1_STRING_cmp(X509_REVOKED_get0_serialNumber(candidate), serial)
        if order == 0 {
          unsafe entry?.pointee = candidate
          return 1
        }
        if order < 0 { low = middle + 1 } else { high = middle }
      }
      return 0
    }
}

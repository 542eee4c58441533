import COpenSSL
import Synchronization

/// A certificate revocation list. Immutable.
///
/// OpenSSL hashes a whole list in every handshake that asks it, before it knows whether the certificate is genuine, and
/// sorts it in the first one: tens of milliseconds of a worker's time for 20 MiB. So a list is verified and sorted once,
/// here, and from then on answers whose signature it bears by comparing keys, and whether a serial number is on it by a
/// binary search.
///
/// `@unchecked` is right because a list is only read once `init` is done, and counted atomically by OpenSSL.
@safe
final class RevocationList: @unchecked Sendable {
  /// The most bytes of a list that nobody in the client CA file has signed: it is verified in each handshake.
  static let unverifiedBytesMax = 1 << 20

  /// Held by whoever decodes lists: how one answers depends on a setting of the whole process at that moment.
  static let decoding = Mutex(())

  /// Valid as long as this object is.
  let pointer: OpaquePointer
  /// The authorities hold the keys that `signers` point to.
  private let authorities: CertificateChain
  private let signers: [OpaquePointer]
  /// Of the name that the list bears, there is an authority, and it has not signed it.
  private let isForged: Bool

  /// Takes over one reference of `list`, also where it throws.
  ///
  /// - Parameters:
  ///   - authorities: who may have signed it.
  ///   - path: where it was read.
  /// - Throws: `.unverifiedList` where it is long and no authority has signed it.
  init(owning list: OpaquePointer, _ authorities: CertificateChain, path: String) throws(TLSError) {
    self.authorities = authorities
    // All pointers are the list's or the authorities', and valid as long as these are.
    let issuer = unsafe X509_CRL_get_issuer(list)
    let namesakes = unsafe authorities.pointers.filter { authority in
      unsafe X509_NAME_cmp(X509_get_subject_name(authority), issuer) == 0
    }
    let signers = unsafe namesakes.compactMap { unsafe X509_get0_pubkey($0) }.filter { key in
      unsafe X509_CRL_verify(list, key) == 1
    }
    ERR_clear_error()
    unsafe self.signers = signers
    isForged = unsafe signers.isEmpty && !namesakes.isEmpty
    if unsafe !signers.isEmpty {
      guard let indexed = unsafe Self.indexed(list) else {
        throw .library(reason: OpenSSLError.takeFirst()?.text ?? "out of memory")
      }
      unsafe pointer = indexed
      // Read by `isSigned` alone, which is called by whoever verifies with this object's list.
      unsafe X509_CRL_set_meth_data(indexed, Unmanaged.passUnretained(self).toOpaque())
      return
    }
    if unsafe i2d_X509_CRL(list, nil) > Self.unverifiedBytesMax {
      let name = unsafe CertificateFacts.text(of: issuer)
      unsafe X509_CRL_free(list)
      throw .unverifiedList(path: path, issuer: name)
    }
    unsafe pointer = list
  }

  deinit {
    unsafe X509_CRL_free(pointer)
  }

  /// Nil for a list that never ends.
  func expiring(path: String) -> Expiring? {
    // The list and its times are valid as long as this object is.
    guard let end = unsafe X509_CRL_get0_nextUpdate(pointer) else { return nil }
    return unsafe .revocationList(
      path: path, issuer: CertificateFacts.text(of: X509_CRL_get_issuer(pointer)),
      lastUpdate: CertificateFacts.seconds(X509_CRL_get0_lastUpdate(pointer)),
      nextUpdate: CertificateFacts.seconds(end))
  }

  /// It speaks of some of its issuer's certificates only (RFC 5280 §5.2.5): others of that issuer do not replace it.
  var isPartial: Bool {
    // As above.
    unsafe X509_CRL_get_ext_by_NID(pointer, NID_issuing_distribution_point, -1) >= 0
  }

  /// Nil where there is nothing to say.
  func forgery(path: String) -> TLSFinding? {
    // As above.
    isForged
      ? .revocationListForged(
        path: path, issuer: unsafe CertificateFacts.text(of: X509_CRL_get_issuer(pointer)))
      : nil
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
  /// OpenSSL takes no indirect one, and is whole, so that an entry never means the end of a revocation.
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

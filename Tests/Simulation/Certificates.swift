import COpenSSL
import Glibc

/// A certificate and its key, made here.
@safe
final class Pair {
  // Owned: freed in `deinit`; whoever else needs them takes references.
  let certificate: OpaquePointer
  let key: OpaquePointer

  /// - Parameters:
  ///   - issuer: nil for one that signs itself.
  ///   - padding: bytes of a comment, to make the certificate long.
  init?(_ name: String, issuer: Pair? = nil, isAuthority: Bool = false, padding: Int = 0) {
    guard let key = unsafe Self.newKey(), let certificate = unsafe X509_new() else { return nil }
    unsafe (self.key, self.certificate) = unsafe (key, certificate)
    // Everything set is copied or counted by the certificate.
    unsafe X509_set_version(certificate, 2)
    unsafe ASN1_INTEGER_set(X509_get_serialNumber(certificate), Int.random(in: 1...Int.max / 2))
    unsafe X509_gmtime_adj(X509_getm_notBefore(certificate), -3600)
    unsafe X509_gmtime_adj(X509_getm_notAfter(certificate), 30 * 86_400)
    unsafe X509_set_pubkey(certificate, key)
    let subject = unsafe X509_get_subject_name(certificate)
    unsafe X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, name, -1, -1, 0)
    unsafe X509_set_issuer_name(
      certificate, X509_get_subject_name(issuer?.certificate ?? certificate))
    var extensions = [
      (NID_basic_constraints, isAuthority ? "critical,CA:TRUE" : "critical,CA:FALSE")
    ]
    if !isAuthority { extensions.append((NID_subject_alt_name, "DNS:localhost")) }
    if padding > 0 {
      extensions.append((NID_netscape_comment, String(repeating: "x", count: padding)))
    }
    for (identifier, value) in extensions {
      let made = unsafe X509V3_EXT_conf_nid(nil, nil, identifier, value)
      unsafe X509_add_ext(certificate, made, -1)
      unsafe X509_EXTENSION_free(made)
    }
    guard unsafe X509_sign(certificate, issuer?.key ?? key, EVP_sha256()) > 0 else { return nil }
  }

  deinit {
    unsafe X509_free(certificate)
    unsafe EVP_PKEY_free(key)
  }

  private static func newKey() -> OpaquePointer? {
    let context = unsafe EVP_PKEY_CTX_new_from_name(nil, "EC", nil)
    defer { unsafe EVP_PKEY_CTX_free(context) }
    var key: OpaquePointer?
    guard unsafe EVP_PKEY_keygen_init(context) == 1,
      unsafe EVP_PKEY_CTX_set_group_name(context, "P-256") == 1,
      unsafe EVP_PKEY_keygen(context, &key) == 1
    else { return nil }
    return unsafe key
  }

  /// The certificate, those of `issuers`, and with `withKey` the key, as a PEM file.
  func write(to path: String, issuers: [Pair] = [], withKey: Bool = false) -> Bool {
    guard let file = unsafe BIO_new_file(path, "w") else { return false }
    defer { unsafe BIO_free(file) }
    var isWritten = unsafe PEM_write_bio_X509(file, certificate) == 1
    for pair in issuers {
      isWritten = unsafe PEM_write_bio_X509(file, pair.certificate) == 1 && isWritten
    }
    if withKey {
      isWritten =
        unsafe PEM_write_bio_PrivateKey(file, key, nil, nil, 0, nil, nil) == 1 && isWritten
    }
    return isWritten
  }
}

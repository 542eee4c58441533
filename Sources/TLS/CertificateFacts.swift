import COpenSSL
import Glibc

/// What there is to say of a server certificate in a log line or a metric.
package struct CertificateFacts: Hashable, Sendable {
  /// RFC 2253 form, in UTF-8, escaped: `CN=vault.example.com,O=Example`.
  package let subject: String
  /// In the same form.
  package let issuer: String
  /// The last common name of the subject, or nil where it has none.
  package let commonName: String?
  /// In capital hexadecimal digits, as `openssl x509 -serial` prints it.
  package let serial: String
  /// The first second of validity, since 1970-01-01T00:00:00Z.
  package let notBefore: Int64
  /// The last second of validity, since 1970-01-01T00:00:00Z.
  package let notAfter: Int64
  /// `ECDSA P-256`, `RSA 2048`, or OpenSSL's name of the type.
  package let key: String

  /// Reads them from a valid certificate, which stays the caller's.
  init(_ certificate: OpaquePointer) {
    // All that is asked for below belongs to the certificate and is copied.
    let name = unsafe X509_get_subject_name(certificate)
    subject = unsafe Self.text(of: name)
    issuer = unsafe Self.text(of: X509_get_issuer_name(certificate))
    commonName = unsafe Self.commonName(of: name)
    serial = unsafe Self.hexadecimal(X509_get0_serialNumber(certificate))
    notBefore = unsafe Self.seconds(X509_get0_notBefore(certificate))
    notAfter = unsafe Self.seconds(X509_get0_notAfter(certificate))
    key = unsafe Self.keyName(X509_get0_pubkey(certificate))
  }

  /// A name in RFC 2253 form; empty where it has no parts.
  static func text(of name: OpaquePointer?) -> String {
    guard let bio = unsafe BIO_new(BIO_s_mem()) else { return "" }
    // The BIO is ours, and its memory valid until it is freed.
    defer { unsafe BIO_free(bio) }
    guard let name = unsafe name, unsafe copenssl_print_name(bio, name) >= 0 else { return "" }
    var bytes: UnsafeMutablePointer<CChar>?
    let count = unsafe copenssl_memory(bio, &bytes)
    let text = unsafe UnsafeRawBufferPointer(start: bytes, count: count)
    return unsafe String(decoding: text, as: UTF8.self)
  }

  private static func commonName(of name: OpaquePointer?) -> String? {
    var last: Int32 = -1
    while case let next = unsafe X509_NAME_get_index_by_NID(name, NID_commonName, last), next >= 0 {
      last = next
    }
    if last < 0 { return nil }
    // The entry and its string belong to the name; the UTF-8 form is ours to free.
    let string = unsafe X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last))
    var bytes: UnsafeMutablePointer<UInt8>?
    let count = unsafe ASN1_STRING_to_UTF8(&bytes, string)
    if count < 0 { return nil }
    defer { unsafe CRYPTO_free(bytes, #fileID, #line) }
    return unsafe String(
      decoding: UnsafeBufferPointer(start: bytes, count: Int(count)), as: UTF8.self)
  }

  private static func hexadecimal(_ integer: UnsafePointer<ASN1_INTEGER>?) -> String {
    // An integer holds `length` bytes, most significant first, without leading zeros.
    let bytes = unsafe UnsafeBufferPointer(
      start: ASN1_STRING_get0_data(integer), count: Int(ASN1_STRING_length(integer)))
    let digits = Array("0123456789ABCDEF".utf8)
    let text = unsafe bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    return String(decoding: text, as: UTF8.self)
  }

  /// A time as seconds since 1970-01-01T00:00:00Z.
  static func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int64 {
    var parts = unsafe tm()
    // 1 says that the time was well formed and `parts` is set, in UTC.
    guard unsafe ASN1_TIME_to_tm(time, &parts) == 1 else { return 0 }
    return Int64(unsafe timegm(&parts))
  }

  private static func keyName(_ key: OpaquePointer?) -> String {
    let type = unsafe EVP_PKEY_get_base_id(key)
    if type == EVP_PKEY_RSA { return "RSA \(unsafe EVP_PKEY_get_bits(key))" }
    if type != EVP_PKEY_EC {
      return unsafe OBJ_nid2sn(type).map { unsafe String(cString: $0) } ?? "unknown"
    }
    var name = [CChar](repeating: 0, count: 64)
    var count = 0
    // At most 64 bytes are written, and `count` tells how many of them without the terminating
    // null.
    guard unsafe EVP_PKEY_get_group_name(key, &name, name.count, &count) == 1 else {
      return "ECDSA"
    }
    let group = String(decoding: name.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
    let common = ["prime256v1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"]
    return "ECDSA \(common[group] ?? group)"
  }
}

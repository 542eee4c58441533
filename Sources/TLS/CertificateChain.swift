import COpenSSL

/// The certificates of one file, in its order; at least one.
///
/// `@unchecked` is right because a certificate is only read once it is parsed, and counted atomically by OpenSSL.
@safe
final class CertificateChain: @unchecked Sendable {
  /// Valid as long as this object is; whoever keeps one longer counts it up.
  let pointers: [OpaquePointer]

  /// Takes over one reference of each.
  init(owning pointers: [OpaquePointer]) {
    precondition(unsafe !pointers.isEmpty, "a chain begins with a leaf")
    unsafe self.pointers = pointers
  }

  deinit {
    unsafe pointers.forEach { unsafe X509_free($0) }
  }

  /// The first certificate: the server's own.
  var leaf: OpaquePointer { unsafe pointers[0] }
}

/// A private key; OpenSSL wipes it when the last reference is gone.
///
/// `@unchecked` is right because a key is only read once it is parsed, and counted atomically by OpenSSL.
@safe
final class PrivateKey: @unchecked Sendable {
  /// Valid as long as this object is.
  let pointer: OpaquePointer

  /// Takes over one reference.
  init(owning pointer: OpaquePointer) {
    unsafe self.pointer = pointer
  }

  deinit {
    unsafe EVP_PKEY_free(pointer)
  }
}

import COpenSSL

/// A cipher of a context, valid as long as that is.
@safe
struct Cipher {
  private let pointer: OpaquePointer

  /// All that are on offer, by preference.
  static func all(in context: OpaquePointer) -> [Cipher] {
    // The stack and its ciphers are the context's.
    let stack = unsafe SSL_CTX_get_ciphers(context)
    return unsafe (0..<OPENSSL_sk_num(stack)).compactMap { index in
      guard let pointer = unsafe OPENSSL_sk_value(stack, index) else { return nil }
      return unsafe Cipher(pointer: OpaquePointer(pointer))
    }
  }

  var isTLS13: Bool { unsafe SSL_CIPHER_get_kx_nid(pointer) == NID_kx_any }

  /// Ephemeral ECDH and authenticated encryption, as every suite of TLS 1.3 has.
  var isInMozillasPolicy: Bool {
    let exchange = unsafe SSL_CIPHER_get_kx_nid(pointer)
    return unsafe SSL_CIPHER_is_aead(pointer) == 1
      && (exchange == NID_kx_ecdhe || exchange == NID_kx_any)
  }

  /// It authenticates nobody, or encrypts nothing.
  var isOpen: Bool {
    unsafe SSL_CIPHER_get_auth_nid(pointer) == NID_auth_null
      || SSL_CIPHER_get_cipher_nid(pointer) == NID_undef
  }

  /// A constant of OpenSSL's.
  var name: String { unsafe String(cString: SSL_CIPHER_get_name(pointer)) }
}

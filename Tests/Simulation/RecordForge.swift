import COpenSSL
import Glibc

/// Makes TLS records with a session's keys that OpenSSL itself would not make: key updates by the
/// thousand, records without content, warnings, renegotiations. From the first of them on it has to
/// make all of the client's records.
///
/// TLS 1.3 as RFC 8446 §5.2 and §7.3 have it, TLS 1.2 as RFC 5288 §3; with AES-128-GCM and SHA-256,
/// which the server prefers.
@safe
final class RecordForge {
  private let isTLS13: Bool
  private var secret: [UInt8]
  private var key: [UInt8] = []
  private var vector: [UInt8] = []
  private var sequence: UInt64 = 0
  // Owned: freed in `deinit`.
  private let cipher: OpaquePointer?

  /// - Parameters:
  ///   - secret: the client's traffic secret of TLS 1.3; of TLS 1.2 its key and its vector, 16 and 4
  ///     bytes.
  ///   - sequence: of the next record.
  init(secret: [UInt8], sequence: UInt64, isTLS13: Bool) {
    self.isTLS13 = isTLS13
    self.secret = secret
    unsafe cipher = unsafe EVP_CIPHER_CTX_new()
    if isTLS13 {
      deriveKeys()
    } else {
      key = Array(secret.prefix(16))
      vector = Array(secret.suffix(4))
    }
    self.sequence = sequence
  }

  deinit {
    unsafe EVP_CIPHER_CTX_free(cipher)
  }

  private func deriveKeys() {
    key = expand("key", 16)
    vector = expand("iv", 12)
    sequence = 0
  }

  /// HKDF-Expand-Label (RFC 8446 §7.1) with no context, for lengths up to 32.
  private func expand(_ label: String, _ length: UInt8) -> [UInt8] {
    let name = Array("tls13 \(label)".utf8)
    let information = [0, length, UInt8(name.count)] + name + [0, 1]
    return Array(Self.hmac(secret, information).prefix(Int(length)))
  }

  static func hmac(_ key: [UInt8], _ bytes: [UInt8]) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: 32)
    var count: UInt32 = 0
    // SHA-256 fills 32 bytes; the arrays are as long as said.
    _ = unsafe HMAC(EVP_sha256(), key, Int32(key.count), bytes, bytes.count, &digest, &count)
    return digest
  }

  /// A record of this type and content.
  func record(_ type: UInt8, _ content: [UInt8], padding: Int = 0) -> [UInt8] {
    isTLS13 ? record13(type, content, padding: padding) : record12(type, content)
  }

  /// Application data, in records of a usual size.
  func data(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    var records: [UInt8] = []
    var rest = bytes
    while !rest.isEmpty {
      records += record(23, Array(rest.prefix(16_000)))
      rest = rest.dropFirst(16_000)
    }
    return records
  }

  func keyUpdate(asks: Bool) -> [UInt8] {
    let bytes = record(22, [24, 0, 0, 1, asks ? 1 : 0], padding: 38)
    // TLS 1.2 knows no such message, and its keys stay.
    guard isTLS13 else { return bytes }
    secret = expand("traffic upd", 32)
    deriveKeys()
    return bytes
  }

  private func record13(_ type: UInt8, _ content: [UInt8], padding: Int) -> [UInt8] {
    let inner = content + [type] + [UInt8](repeating: 0, count: padding)
    let length = inner.count + 16
    let header: [UInt8] = [23, 3, 3, UInt8(length >> 8), UInt8(length & 0xFF)]
    var nonce = vector
    for index in 0..<8 {
      nonce[4 + index] ^= UInt8(truncatingIfNeeded: sequence >> (56 - 8 * index))
    }
    sequence += 1
    return header + seal(inner, nonce: nonce, additional: header)
  }

  private func record12(_ type: UInt8, _ content: [UInt8]) -> [UInt8] {
    let number = (0..<8).map { UInt8(truncatingIfNeeded: sequence >> (56 - 8 * $0)) }
    sequence += 1
    let additional = number + [type, 3, 3, UInt8(content.count >> 8), UInt8(content.count & 0xFF)]
    let length = content.count + 24
    return [type, 3, 3, UInt8(length >> 8), UInt8(length & 0xFF)] + number
      + seal(content, nonce: vector + number, additional: additional)
  }

  private func seal(_ bytes: [UInt8], nonce: [UInt8], additional: [UInt8]) -> [UInt8] {
    var sealed = [UInt8](repeating: 0, count: bytes.count + 16)
    var count: Int32 = 0
    // Every array is as long as AES-128-GCM reads or writes: 16 bytes of key, 12 of nonce, as many
    // of output as of input, and the tag behind them.
    _ = unsafe EVP_EncryptInit_ex(cipher, EVP_aes_128_gcm(), nil, key, nonce)
    _ = unsafe EVP_EncryptUpdate(cipher, nil, &count, additional, Int32(additional.count))
    unsafe sealed.withUnsafeMutableBufferPointer { buffer in
      _ = unsafe EVP_EncryptUpdate(cipher, buffer.baseAddress, &count, bytes, Int32(bytes.count))
      _ = unsafe EVP_EncryptFinal_ex(cipher, buffer.baseAddress, &count)
      let tag = unsafe buffer.baseAddress.map { unsafe $0 + bytes.count }
      _ = unsafe EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, 16, tag)
    }
    return sealed
  }
}

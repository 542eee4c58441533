import COpenSSL

/// One key that session tickets are encrypted with: a name, an AES key and an HMAC-SHA256 key.
///
/// The layout is HAProxy's: 16 bytes of name, then the AES key, then the HMAC key, of 16 or 32
/// bytes each. Wiped when the last holder lets go: whoever has a key can decrypt what was sent in
/// sessions of its time.
///
/// `@unchecked` is right because the storage is written in `init` alone.
@safe
final class TicketKey: @unchecked Sendable {
  static let nameBytes = 16

  // Owned: allocated and filled in `init`, only read after, wiped and freed in `deinit`.
  private let bytes: UnsafeMutableBufferPointer<UInt8>

  /// - Parameter source: 48 or 80 bytes; nil for other counts.
  init?(_ source: Span<UInt8>) {
    guard source.count == 48 || source.count == 80 else { return nil }
    unsafe bytes = .allocate(capacity: source.count)
    for index in source.indices { unsafe bytes.initializeElement(at: index, to: source[index]) }
  }

  deinit {
    unsafe OPENSSL_cleanse(bytes.baseAddress, bytes.count)
    unsafe bytes.deallocate()
  }

  /// A new key for AES-256.
  static func random() throws(TLSError) -> TicketKey {
    startOpenSSL()
    var source = SecretBytes(capacity: 80)
    // It writes to as many bytes as there are, and nothing else.
    _ = unsafe source.fill { unsafe RAND_priv_bytes($0, 80) == 1 ? 80 : -1 }
    guard let key = source.withBytes({ TicketKey($0) }) else {
      throw .library(reason: "no random bytes for a ticket key")
    }
    return key
  }

  /// Whether both encrypt alike.
  func equals(_ other: TicketKey) -> Bool {
    // Each reads as many bytes as both have.
    unsafe bytes.count == other.bytes.count
      && CRYPTO_memcmp(bytes.baseAddress, other.bytes.baseAddress, bytes.count) == 0
  }

  /// Whether a ticket that begins with `name`, `nameBytes` readable bytes, is of this key.
  func isNamed(_ name: UnsafePointer<UInt8>) -> Bool {
    unsafe CRYPTO_memcmp(bytes.baseAddress, name, Self.nameBytes) == 0
  }

  /// Writes the name to `nameBytes` writable bytes.
  func copyName(to name: UnsafeMutablePointer<UInt8>) {
    for index in 0..<Self.nameBytes { unsafe name[index] = bytes[index] }
  }

  /// Readies OpenSSL's contexts to encrypt or decrypt a ticket whose first block is chained to
  /// `vector`, 16 bytes.
  func prepare(
    cipher: OpaquePointer?, mac: OpaquePointer?, vector: UnsafePointer<UInt8>, encrypts: Bool
  ) -> Bool {
    // Both keys lie within the storage: half each of what follows the name.
    guard let base = unsafe bytes.baseAddress else { return false }
    let keyBytes = unsafe bytes.count / 2 - Self.nameBytes / 2
    let key = unsafe base + Self.nameBytes
    let algorithm = unsafe keyBytes == 16 ? TicketCiphers.aes128 : TicketCiphers.aes256
    return unsafe copenssl_prepare_ticket(
      cipher, mac, algorithm, key, key + keyBytes, keyBytes, vector, encrypts ? 1 : 0) == 1
  }
}

/// The ciphers of tickets, looked up once: OpenSSL would do it for each ticket. Never freed, never
/// changed.
private enum TicketCiphers {
  nonisolated(unsafe) static let aes128 = unsafe EVP_CIPHER_fetch(nil, "AES-128-CBC", nil)
  nonisolated(unsafe) static let aes256 = unsafe EVP_CIPHER_fetch(nil, "AES-256-CBC", nil)
}

import COpenSSL

/// Names what a client sent in place of its first TLS record, from the five bytes that should be a
/// record header.
///
/// OpenSSL itself knows only four HTTP methods, and Vault's clients use more.
enum FirstRecord: Int32 {
  case httpRequest = 100
  case proxyHeader
  case notTLS

  /// Nil where the second byte, the major version, is that of every TLS and SSL 3 record (RFC 8446
  /// §5.1).
  init?(header: InlineArray<5, UInt8>) {
    if header[1] == 3 { return nil }
    // "PROXY" of version 1, and the first five bytes of version 2's signature.
    let proxyHeaders: [InlineArray<5, UInt8>] = [
      [0x50, 0x52, 0x4F, 0x58, 0x59], [0x0D, 0x0A, 0x0D, 0x0A, 0x00],
    ]
    if proxyHeaders.contains(where: { $0.elementsEqual(header) }) {
      self = .proxyHeader
    } else if header.looksLikeMethod {
      self = .httpRequest
    } else {
      self = .notTLS
    }
  }

  /// Has OpenSSL call back with the first record header of each session of `context`.
  static func watch(_ context: OpaquePointer) {
    // The callback is a C function that captures nothing, and lives as long as the program.
    unsafe SSL_CTX_set_msg_callback(context) { isWritten, _, contentType, bytes, count, ssl, _ in
      guard isWritten == 0, contentType == SSL3_RT_HEADER, count == 5, let bytes = unsafe bytes
      else { return }
      unsafe SSL_set_msg_callback(ssl, nil)
      // OpenSSL passes five readable bytes, as just checked.
      let header = InlineArray<5, UInt8> { index in
        unsafe bytes.load(fromByteOffset: index, as: UInt8.self)
      }
      // The first error in the queue is the one that is reported, so OpenSSL's own "wrong version"
      // comes second.
      if let found = FirstRecord(header: header) { copenssl_raise(found.rawValue) }
    }
  }
}

extension InlineArray where count == 5, Element == UInt8 {
  fileprivate func elementsEqual(_ other: Self) -> Bool {
    for index in indices where self[index] != other[index] { return false }
    return true
  }

  /// `GET /`, `LIST `, `DELET`: capitals, then at most a space and what a target can begin with.
  fileprivate var looksLikeMethod: Bool {
    var index = 0
    while index < 5, UInt8(ascii: "A")...UInt8(ascii: "Z") ~= self[index] { index += 1 }
    if index < 3 { return false }
    if index == 5 { return true }
    if self[index] != UInt8(ascii: " ") { return false }
    return index == 4 || [UInt8(ascii: "/"), UInt8(ascii: "*")].contains(self[4])
      || UInt8(ascii: "a")...UInt8(ascii: "z") ~= self[4]
  }
}

import COpenSSL

/// What a ClientHello may hold. OpenSSL keeps its lists for as long as the session lives, some of them at fifty times their size on
/// the wire, and walks the groups once for each key share: without bounds one hello costs a connection megabytes, or a worker
/// tens of milliseconds. Real clients stay far below each of these.
enum ClientHello {
  /// Cipher suites; OpenSSL itself knows fewer than two hundred.
  private static let suitesMax = 512
  /// Groups, signature algorithms: entries of two bytes.
  private static let groupsMax = 64
  private static let signatureAlgorithmsMax = 128
  private static let keySharesMax = 8
  /// Bytes of the list of application protocols.
  private static let protocolBytesMax = 1024
  /// Names of CAs whose certificates the client takes (RFC 8446 §4.2.4): Java sends its whole store where it is told to.
  private static let authoritiesMax = 256
  private static let authorityBytesMax = 16 << 10

  /// Has OpenSSL ask for each ClientHello, before it does anything with it.
  static func watch(_ context: OpaquePointer) {
    // The callback is a C function that captures nothing, and lives as long as the program.
    unsafe SSL_CTX_set_client_hello_cb(
      context,
      { ssl, alert, _ in
        guard let ssl = unsafe ssl, unsafe !ClientHello.isWithinBounds(ssl) else {
          return SSL_CLIENT_HELLO_SUCCESS
        }
        unsafe WireBIO.withWire(SSL_get_rbio(ssl)) { $0.refuseHello() }
        unsafe alert?.pointee = SSL_AD_ILLEGAL_PARAMETER
        return SSL_CLIENT_HELLO_ERROR
      }, nil)
  }

  private static func isWithinBounds(_ ssl: OpaquePointer) -> Bool {
    // The list is OpenSSL's own, and nothing is kept of it.
    guard unsafe SSL_client_hello_get0_ciphers(ssl, nil) <= 2 * suitesMax else { return false }
    return unsafe bytes(of: 10, in: ssl) <= 2 + 2 * groupsMax
      && bytes(of: 13, in: ssl) <= 2 + 2 * signatureAlgorithmsMax
      && bytes(of: 50, in: ssl) <= 2 + 2 * signatureAlgorithmsMax
      && bytes(of: 16, in: ssl) <= protocolBytesMax
      && bytes(of: 47, in: ssl) <= authorityBytesMax
      && entries(of: 47, in: ssl, headerBytes: 0) <= authoritiesMax
      && entries(of: 51, in: ssl, headerBytes: 2) <= keySharesMax
  }

  /// The length of an extension; 0 where there is none.
  private static func bytes(of type: UInt32, in ssl: OpaquePointer) -> Int {
    var start: UnsafePointer<UInt8>?
    var count = 0
    // Where the extension is there, OpenSSL sets both to bytes of its own.
    return unsafe SSL_client_hello_get0_ext(ssl, type, &start, &count) == 1 ? count : 0
  }

  /// How many entries an extension has: a list of two bytes of length, in which each has a header and, behind two bytes of
  /// length, a value.
  private static func entries(
    of type: UInt32, in ssl: OpaquePointer, headerBytes: Int
  ) -> Int {
    var start: UnsafePointer<UInt8>?
    var count = 0
    // Where the extension is there, OpenSSL sets both to bytes of its own, `count` of which are readable.
    guard unsafe SSL_client_hello_get0_ext(ssl, type, &start, &count) == 1, let start = unsafe start
    else { return 0 }
    let list = unsafe UnsafeBufferPointer(start: start, count: count)
    var entries = 0
    var position = 2
    while position + headerBytes + 2 <= list.count {
      let length = position + headerBytes
      position = unsafe length + 2 + Int(list[length]) << 8 + Int(list[length + 1])
      entries += 1
    }
    return entries
  }
}

import COpenSSL

/// Random initialisation vectors for tickets, made many at a time: asking OpenSSL's generator costs the same for 16 bytes and for
/// a kilobyte, and a new connection wants one. Each is given out once.
struct TicketVectors {
  private static let vectorBytes = 16

  private var bytes = [UInt8](repeating: 0, count: 64 * vectorBytes)
  /// Where the next one stands; at the end all are used up.
  private var next = 64 * vectorBytes

  /// Writes one to `vectorBytes` writable bytes; false where OpenSSL has no random bytes.
  mutating func take(into vector: UnsafeMutablePointer<UInt8>) -> Bool {
    if next == bytes.count {
      // It writes to the bytes of the array and nothing else.
      guard unsafe RAND_bytes(&bytes, Int32(bytes.count)) == 1 else { return false }
      next = 0
    }
    for index in 0..<Self.vectorBytes {
      unsafe vector[index] = bytes[next + index]
      bytes[next + index] = 0
    }
    next += Self.vectorBytes
    return true
  }
}

import COpenSSL

/// Bytes of a secret in memory of a fixed size, which is wiped at the end: what cannot grow leaves no copy behind, and what
/// cannot be copied has one end.
@safe
struct SecretBytes: ~Copyable {
  // Owned: allocated in `init`, wiped and freed in `deinit`; the first `count` bytes are initialized.
  private let storage: UnsafeMutableBufferPointer<UInt8>
  private(set) var count = 0

  init(capacity: Int) {
    unsafe storage = .allocate(capacity: capacity)
  }

  deinit {
    unsafe OPENSSL_cleanse(storage.baseAddress, storage.count)
    unsafe storage.deallocate()
  }

  /// Adds a byte; a trap beyond the capacity.
  mutating func append(_ byte: UInt8) {
    precondition(unsafe count < storage.count, "a secret that grows")
    unsafe storage.initializeElement(at: count, to: byte)
    count += 1
  }

  /// Shows the bytes.
  func withBytes<Result: ~Copyable, Failure: Error>(
    _ body: (Span<UInt8>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    // The storage is initialized up to `count`, and lives as long as this value.
    let bytes = unsafe UnsafeBufferPointer(rebasing: storage[..<count])
    return try body(unsafe Span(_unsafeElements: bytes))
  }

  /// Has `write` write from the memory's beginning on, at most to its end; it says how many bytes it has written, or, with a number less
  /// than 0, that it failed. That is returned.
  mutating func fill(_ write: (UnsafeMutablePointer<UInt8>) -> Int) -> Int {
    guard let start = unsafe storage.baseAddress else { return 0 }
    let written = unsafe write(start)
    precondition(unsafe written <= storage.count, "a secret that grows")
    count = max(0, written)
    return written
  }

  /// Forgets all but the first `newCount` bytes.
  mutating func truncate(to newCount: Int) {
    count = min(count, max(0, newCount))
  }
}

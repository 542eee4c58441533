import COpenSSL
import Glibc
import Synchronization

/// OpenSSL's memory, which is wiped when it is freed while a key is read: its decoders would leave a line of the PEM text and
/// all of the key's DER where they lay.
enum WipedMemory {
  /// How many keys are being read. While it is not 0, what other threads free is wiped as well.
  private static let readers = Atomic<Int>(0)

  /// Gives OpenSSL the C library's allocator with that change; before anything else is asked of it, or it refuses
  /// (CRYPTO_set_mem_functions(3)): then nothing is wiped, and all else goes on.
  static func install() {
    // Each keeps to what malloc(3) says; OpenSSL passes pointers of theirs alone, and asks for 0 bytes to get null.
    _ = unsafe CRYPTO_set_mem_functions(
      { size, _, _ in size == 0 ? nil : unsafe malloc(size) },
      { pointer, size, _, _ in unsafe WipedMemory.resize(pointer, to: size) },
      { pointer, _, _ in unsafe WipedMemory.release(pointer) })
  }

  /// Wipes what OpenSSL frees in `body`.
  static func whileReading<Result>(_ body: () -> Result) -> Result {
    readers.add(1, ordering: .relaxed)
    defer { readers.subtract(1, ordering: .relaxed) }
    return body()
  }

  private static func release(_ pointer: UnsafeMutableRawPointer?) {
    guard let pointer = unsafe pointer else { return }
    if readers.load(ordering: .relaxed) != 0 {
      // All that malloc gave is the owner's to write to, until it is freed.
      unsafe explicit_bzero(pointer, malloc_usable_size(pointer))
    }
    unsafe free(pointer)
  }

  private static func resize(
    _ pointer: UnsafeMutableRawPointer?, to size: Int
  ) -> UnsafeMutableRawPointer? {
    guard let pointer = unsafe pointer else { return size == 0 ? nil : unsafe malloc(size) }
    if size == 0 {
      unsafe release(pointer)
      return nil
    }
    if readers.load(ordering: .relaxed) == 0 { return unsafe realloc(pointer, size) }
    // realloc(3) might move it and leave the old bytes behind.
    guard let new = unsafe malloc(size) else { return nil }
    unsafe new.copyMemory(from: pointer, byteCount: min(size, malloc_usable_size(pointer)))
    unsafe release(pointer)
    return unsafe new
  }
}

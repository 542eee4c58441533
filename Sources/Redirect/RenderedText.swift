import HTTP1

/// A short text that is rendered seldom and read often.
///
/// Its memory is its own, and is read where it lies: of an inline array within a class the compiler copies all the room for
/// each look at a byte.
@safe
final class RenderedText {
  static let bytesMax = 768

  // Owned by this object alone: allocated here, freed in `deinit`; the first `count` bytes are initialized.
  private let storage = UnsafeMutablePointer<UInt8>.allocate(capacity: bytesMax)
  private(set) var count = 0

  init(_ text: String = "") {
    render(text)
  }

  deinit {
    unsafe storage.deallocate()
  }

  /// Takes the place of what was rendered before; at most `bytesMax` bytes of UTF-8.
  func render(_ text: String) {
    precondition(text.utf8.count <= Self.bytesMax, "a rendered text outgrew its room")
    count = 0
    for byte in text.utf8 {
      // Within the room, as just checked.
      unsafe (storage + count).initialize(to: byte)
      count += 1
    }
  }

  @inline(__always)
  func withBytes<Result>(_ body: (Span<UInt8>) -> Result) -> Result {
    // Nobody renders while `body` reads: one thread has this object, and `body` is given no way to it.
    let bytes = unsafe UnsafeBufferPointer(start: storage, count: count)
    return body(unsafe Span(_unsafeElements: bytes))
  }

  @inline(__always)
  func append(to output: inout OutputSpan<UInt8>) {
    withBytes { output.append(contentsOf: $0) }
  }
}

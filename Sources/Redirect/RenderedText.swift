import HTTP1

/// A short text that is rendered seldom and appended often: it lies inside its owner, so that appending
/// touches no reference count. Not copyable, lest a copy of all its room is made for each use.
struct RenderedText: ~Copyable {
  static let bytesMax = 768

  private var storage = InlineArray<768, UInt8>(repeating: 0)
  private var count = 0

  init() {}

  init(_ text: String) {
    precondition(text.utf8.count <= Self.bytesMax, "a rendered text outgrew its room")
    for byte in text.utf8 {
      storage[count] = byte
      count += 1
    }
  }

  @inline(__always)
  func append(to output: inout OutputSpan<UInt8>) {
    output.append(contentsOf: storage.span.extracting(0..<count))
  }
}

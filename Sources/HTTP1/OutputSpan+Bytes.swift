extension OutputSpan<UInt8> {
  /// Appends all of `bytes`; traps where they do not fit.
  @inline(__always)
  package mutating func append(contentsOf bytes: Span<UInt8>) {
    // Both buffers are the spans' own storage, they cannot overlap while `self` is borrowed for
    // writing, and the precondition keeps the copy inside the free part.
    unsafe bytes.withUnsafeBufferPointer { source in
      unsafe self.withUnsafeMutableBufferPointer { storage, count in
        precondition(storage.count - count >= source.count, "an answer outgrew its buffer")
        guard let from = source.baseAddress, let to = storage.baseAddress else { return }
        unsafe (to + count).initialize(from: from, count: source.count)
        count += source.count
      }
    }
  }

  /// Appends a literal.
  @inline(__always)
  package mutating func append(_ literal: StaticString) {
    // A StaticString of several bytes points at constant memory of exactly this length.
    let bytes = unsafe UnsafeBufferPointer(
      start: literal.utf8Start, count: literal.utf8CodeUnitCount)
    append(contentsOf: unsafe Span(_unsafeElements: bytes))
  }

  /// Appends a date as `Date` writes it.
  @inline(__always)
  package mutating func append(_ date: HTTPDate) {
    date.withBytes { append(contentsOf: $0) }
  }
}

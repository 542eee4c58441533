extension OutputSpan<UInt8> {
  /// Appends all of `bytes`.
  ///
  /// Where they do not fit, which is a bug of whoever said how much room an answer takes, it fills the span to its last
  /// byte (and traps in debug builds), so that a full span is one that was outgrown: the frontend gives a byte more
  /// than was asked for, and drops what fills it.
  @inline(__always)
  package mutating func append(contentsOf bytes: Span<UInt8>) {
    let free = freeCapacity
    if free < bytes.count { return overflow(bytes.extracting(first: free)) }
    // Both buffers are the spans' own storage, they cannot overlap while `self` is borrowed for
    // writing, and the copy stays inside the free part, as just checked.
    unsafe bytes.withUnsafeBufferPointer { source in
      unsafe self.withUnsafeMutableBufferPointer { storage, count in
        guard let from = source.baseAddress, let to = storage.baseAddress else { return }
        unsafe (to + count).initialize(from: from, count: source.count)
        count += source.count
      }
    }
  }

  @inline(never)
  private mutating func overflow(_ bytes: Span<UInt8>) {
    assertionFailure("an answer outgrew its room")
    for index in bytes.indices { append(bytes[index]) }
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

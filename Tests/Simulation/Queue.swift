/// Bytes that go in at one end and out at the other, and how many have.
struct Queue {
  private var bytes: [UInt8] = []
  private var start = 0
  /// All that ever went in.
  private(set) var total = 0

  var isEmpty: Bool { start == bytes.count }
  /// All that ever went out.
  var taken: Int { total - (bytes.count - start) }

  mutating func append(_ more: [UInt8]) {
    if start == bytes.count {
      bytes.removeAll(keepingCapacity: true)
      start = 0
    }
    bytes += more
    total += more.count
  }

  func front(_ most: Int) -> ArraySlice<UInt8> { bytes[start...].prefix(most) }

  mutating func drop(_ count: Int) { start += count }
}

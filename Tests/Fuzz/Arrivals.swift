extension Span<UInt8> {
  /// The ends of ever longer prefixes, as for one who receives these bytes in parts: cut in two, and,
  /// where that is not too slow, byte by byte.
  var arrivals: [[Int]] {
    count <= 512 ? [[cut, count], Array(0...count)] : [[cut, count]]
  }

  /// An offset, or the end, that depends on every byte (FNV-1a), so that the fuzzer can move it.
  private var cut: Int {
    var hash: UInt32 = 0x811C_9DC5
    for index in indices { hash = (hash ^ UInt32(self[index])) &* 0x0100_0193 }
    return Int(hash % UInt32(count + 1))
  }
}

/// Ends the process, and with it the run, where a property does not hold.
func check(_ holds: Bool, _ property: StaticString) {
  precondition(holds, "\(property)")
}

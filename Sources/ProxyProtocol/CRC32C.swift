/// The CRC32C (Castagnoli, RFC 4960 appendix B) of `bytes`, with those of `zeroed` taken as 0.
func crc32c(_ bytes: Span<UInt8>, zeroing zeroed: Range<Int>) -> UInt32 {
  var remainder = UInt32.max
  for index in 0..<bytes.count {
    let byte = zeroed.contains(index) ? 0 : bytes[index]
    remainder = remainders[Int(UInt8(truncatingIfNeeded: remainder) ^ byte)] ^ remainder >> 8
  }
  return ~remainder
}

/// The remainder of each byte by the reflected polynomial 0x1EDC6F41.
private let remainders = InlineArray<256, UInt32> { byte in
  var remainder = UInt32(byte)
  for _ in 0..<8 {
    remainder = remainder & 1 == 1 ? 0x82F6_3B78 ^ remainder >> 1 : remainder >> 1
  }
  return remainder
}

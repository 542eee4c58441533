import Glibc

/// A time as RFC 3339 writes it, in UTC: `2026-11-22T00:41:18Z`.
///
/// - Parameter seconds: since 1970-01-01T00:00:00Z.
package func timeText(_ seconds: Int64) -> String {
  var time = time_t(seconds)
  var parts = unsafe tm()
  var text = [CChar](repeating: 0, count: 32)
  // gmtime_r fills `parts`; strftime writes at most 32 bytes and tells how many, or 0 where that is
  // too few.
  unsafe gmtime_r(&time, &parts)
  let count = unsafe strftime(&text, text.count, "%Y-%m-%dT%H:%M:%SZ", &parts)
  if count == 0 { return "\(seconds)" }
  return String(decoding: text.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
}

/// Seconds since 1970-01-01T00:00:00Z.
func secondsSinceEpoch() -> Int64 {
  Int64(time(nil))
}

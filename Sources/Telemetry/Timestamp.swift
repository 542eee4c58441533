import Glibc

/// The time now as RFC 3339 writes it, in UTC, with milliseconds: `2026-11-22T09:30:00.125Z`.
package func currentTimestamp() -> String {
  var now = timespec()
  // The clock exists on every Linux: the call cannot fail.
  _ = unsafe clock_gettime(CLOCK_REALTIME, &now)
  let milliseconds = String(Int(now.tv_nsec) / 1_000_000 + 1000).dropFirst()
  return "\(timestamp(secondsSinceEpoch: Int(now.tv_sec)).dropLast()).\(milliseconds)Z"
}

/// A time in whole seconds since 1970 as RFC 3339 writes it, in UTC: `2026-11-22T09:30:00Z`.
package func timestamp(secondsSinceEpoch seconds: Int) -> String {
  var time = time_t(seconds)
  // gmtime_r fills `parts` and fails only for years beyond an int; strftime writes at most what the array holds, and
  // says how much that was.
  var parts = unsafe tm()
  var text = [CChar](repeating: 0, count: 64)
  _ = unsafe gmtime_r(&time, &parts)
  let length = unsafe strftime(&text, text.count, "%Y-%m-%dT%H:%M:%SZ", &parts)
  return String(decoding: text.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

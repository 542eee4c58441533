import Redirect
import Sys

/// `text` in printable ASCII on one line, without query strings, and cut to what a status may hold:
/// for logs and health.
func sanitized(_ text: String) -> String {
  var result = ""
  var isQuery = false
  for scalar in text.unicodeScalars {
    if result.utf8.count >= DiscoveryStatus.errorBytesMax { break }
    if scalar == "?" { isQuery = true }
    if scalar == " " || scalar == "\n" { isQuery = false }
    if isQuery { continue }
    result.unicodeScalars.append(scalar.value < 0x20 || scalar.value > 0x7e ? " " : scalar)
  }
  return trimmed(result[...])
}

/// `text` without white space at its ends.
func trimmed(_ text: Substring) -> String {
  let start = text.drop { $0.isWhitespace }
  var end = start
  while end.last?.isWhitespace == true { end.removeLast() }
  return String(end)
}

extension Duration {
  /// Rounded towards zero; at most 292 years.
  var wholeMilliseconds: Int { Int(wholeNanoseconds / 1_000_000) }
}

/// An address as given, for an error's text: without the user's part before `@`, the query and the fragment, which could be
/// secrets. Where both are there it cannot be told which of them goes how far, and nothing is shown.
func quotedAddress(_ text: some StringProtocol) -> String {
  let query = text.firstIndex { $0 == "?" || $0 == "#" }
  let shown =
    switch (text.lastIndex(of: "@"), query) {
    case (nil, nil): String(text)
    case (let at?, nil): "..." + text[at...]
    case (nil, let query?): text[...query] + "..."
    case (_?, _?): "..."
    }
  return "\"\(sanitized(shown))\""
}

/// `text` with everything but unreserved characters percent-encoded (RFC 3986 §2.3).
func percentEncoded(_ text: String) -> String {
  var result = ""
  for byte in text.utf8 {
    let scalar = Unicode.Scalar(byte)
    if scalar.properties.isAlphabetic && byte < 0x80 || (0x30...0x39).contains(byte)
      || "-._~".unicodeScalars.contains(scalar)
    {
      result.unicodeScalars.append(scalar)
    } else {
      let digits = String(byte, radix: 16, uppercase: true)
      result += "%" + (digits.utf8.count == 1 ? "0" : "") + digits
    }
  }
  return result
}

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

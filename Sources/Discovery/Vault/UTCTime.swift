/// A time as RFC 3339 writes it, for comparing two of them: `2026-11-21T22:49:37.123456789Z` or with an offset.
/// A text that is no time is earlier than all times.
struct UTCTime: Comparable, Hashable {
  private let nanoseconds: Int64

  init(_ text: String) {
    nanoseconds = Self.parse(Array(text.utf8)) ?? .min
  }

  static func < (left: UTCTime, right: UTCTime) -> Bool {
    left.nanoseconds < right.nanoseconds
  }

  private static func parse(_ text: [UInt8]) -> Int64? {
    func number(_ range: Range<Int>) -> Int64? {
      guard range.upperBound <= text.count else { return nil }
      var value: Int64 = 0
      for byte in text[range] {
        guard (0x30...0x39).contains(byte) else { return nil }
        value = value * 10 + Int64(byte - 0x30)
      }
      return value
    }
    guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
      let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19),
      (1678...2261).contains(year), (1...12).contains(month), (1...31).contains(day)
    else { return nil }
    var position = 19
    var fraction: Int64 = 0
    if position < text.count, text[position] == UInt8(ascii: ".") {
      var unit: Int64 = 100_000_000
      position += 1
      while let digit = number(position..<position + 1) {
        fraction += digit * unit
        unit /= 10
        position += 1
      }
    }
    guard position < text.count else { return nil }
    var offset: Int64 = 0
    if text[position] != UInt8(ascii: "Z") {
      guard let hours = number(position + 1..<position + 3),
        let minutes = number(position + 4..<position + 6)
      else { return nil }
      offset = (hours * 60 + minutes) * (text[position] == UInt8(ascii: "-") ? -60 : 60)
    }
    let seconds = (days(year, month, day) * 24 + hour) * 3600 + minute * 60 + second - offset
    return seconds * 1_000_000_000 + fraction
  }

  /// Days since 1970-01-01 (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
  private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
    let shifted = month <= 2 ? year - 1 : year
    let era = shifted / 400
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
  }
}

/// A point in time as `Date` writes it (RFC 9110 §5.6.7, IMF-fixdate): always 29 bytes, always GMT.
package struct HTTPDate: Equatable, Sendable {
  static let bytesCount = 29

  /// `Sun, 06 Nov 1994 08:49:37 GMT` as it lies in memory, and three bytes of 0: four words are passed on in registers
  /// where 29 bytes are taken apart and put together each time.
  private let words: InlineArray<4, UInt64>

  /// The date of a time given in whole seconds since 1970-01-01T00:00:00Z; not before it, not after year 9999.
  package init(secondsSinceEpoch seconds: Int64) {
    precondition(
      seconds >= 0 && seconds < 253_402_300_800, "HTTPDate writes the years 1970 to 9999")
    let (days, secondOfDay) = Int(seconds).quotientAndRemainder(dividingBy: 86_400)
    let (year, month, day) = civilDate(daysSinceEpoch: days)
    var text = InlineArray<29, UInt8>(repeating: UInt8(ascii: " "))
    func put(_ characters: StaticString, at offset: Int) {
      for index in 0..<characters.utf8CodeUnitCount {
        text[offset + index] = unsafe characters.utf8Start[index]
      }
    }
    func put(_ number: Int, digits: Int, at offset: Int) {
      var rest = number
      for index in stride(from: offset + digits - 1, through: offset, by: -1) {
        text[index] = UInt8(ascii: "0") + UInt8(rest % 10)
        rest /= 10
      }
    }
    let weekdays: [StaticString] = ["Thu,", "Fri,", "Sat,", "Sun,", "Mon,", "Tue,", "Wed,"]
    let months: [StaticString] = [
      "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
    put(weekdays[days % 7], at: 0)
    put(day, digits: 2, at: 5)
    put(months[month - 1], at: 8)
    put(year, digits: 4, at: 12)
    put(secondOfDay / 3600, digits: 2, at: 17)
    put(":", at: 19)
    put(secondOfDay / 60 % 60, digits: 2, at: 20)
    put(":", at: 22)
    put(secondOfDay % 60, digits: 2, at: 23)
    put("GMT", at: 26)
    words = InlineArray { index in
      var word: UInt64 = 0
      for offset in 0..<8 where index * 8 + offset < Self.bytesCount {
        word |= UInt64(text[index * 8 + offset]) << UInt64(8 * offset)
      }
      return word.littleEndian
    }
  }

  package static func == (left: HTTPDate, right: HTTPDate) -> Bool {
    for index in left.words.indices where left.words[index] != right.words[index] { return false }
    return true
  }

  /// Shows the `bytesCount` bytes.
  @inline(__always)
  func withBytes<Result>(_ body: (Span<UInt8>) -> Result) -> Result {
    // The words are 32 bytes, of which the first 29 are looked at, and any byte is a UInt8.
    unsafe words.span.bytes.withUnsafeBytes { raw in
      let bytes = unsafe UnsafeBufferPointer(
        start: raw.baseAddress?.assumingMemoryBound(to: UInt8.self), count: Self.bytesCount)
      return body(unsafe Span(_unsafeElements: bytes))
    }
  }
}

/// The Gregorian date of a day counted from 1970-01-01 (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
package func civilDate(daysSinceEpoch: Int) -> (year: Int, month: Int, day: Int) {
  let shifted = daysSinceEpoch + 719_468
  let era = shifted / 146_097
  let dayOfEra = shifted - era * 146_097
  let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
  let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
  let shiftedMonth = (5 * dayOfYear + 2) / 153
  let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
  let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
  return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
}

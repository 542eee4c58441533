import HTTP1
import Testing

@Test(
  "A date is written as RFC 9110 has it",
  arguments: [
    (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
    (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"), (951_868_799, "Tue, 29 Feb 2000 23:59:59 GMT"),
    (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
    (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
    (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
  ])
func dates(_ seconds: Int64, _ expected: String) {
  let date = HTTPDate(secondsSinceEpoch: seconds)
  let bytes = [UInt8](capacity: 64) { $0.append(date) }
  #expect(String(decoding: bytes, as: UTF8.self) == expected)
  #expect(date == HTTPDate(secondsSinceEpoch: seconds))
  #expect(seconds == 0 || date != HTTPDate(secondsSinceEpoch: seconds - 1))
}

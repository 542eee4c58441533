/// A JSON object, written member by member (RFC 8259).
package struct JSONText {
  /// What has been written so far.
  package private(set) var bytes: [UInt8] = []
  private var isFirst = true

  package init() {}

  /// Opens an object (`{`) or an array (`[`), as the value of `key` where it stands in an object.
  package mutating func open(_ bracket: Unicode.Scalar, key: String? = nil) {
    separate(key)
    bytes.append(UInt8(ascii: bracket))
    isFirst = true
  }

  /// Closes it.
  package mutating func close(_ bracket: Unicode.Scalar) {
    bytes.append(UInt8(ascii: bracket))
    isFirst = false
  }

  /// A string, or null.
  package mutating func member(_ key: String, _ value: String?) {
    separate(key)
    guard let value else { return bytes.append(contentsOf: "null".utf8) }
    quote(value)
  }

  /// true or false.
  package mutating func member(_ key: String, _ value: Bool) {
    separate(key)
    bytes.append(contentsOf: (value ? "true" : "false").utf8)
  }

  /// A whole number, or null.
  package mutating func member(_ key: String, _ value: Int64?) {
    separate(key)
    bytes.append(contentsOf: (value.map { "\($0)" } ?? "null").utf8)
  }

  private mutating func separate(_ key: String?) {
    if !isFirst { bytes.append(UInt8(ascii: ",")) }
    isFirst = false
    guard let key else { return }
    quote(key)
    bytes.append(UInt8(ascii: ":"))
  }

  private mutating func quote(_ text: String) {
    let hexadecimal = Array("0123456789abcdef".utf8)
    bytes.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        bytes.append(UInt8(ascii: "\\"))
        bytes.append(byte)
      case 0..<0x20, 0x7f:
        bytes.append(contentsOf: "\\u00".utf8)
        bytes.append(hexadecimal[Int(byte >> 4)])
        bytes.append(hexadecimal[Int(byte & 15)])
      default:
        bytes.append(byte)
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }
}

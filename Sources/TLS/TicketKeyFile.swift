import COpenSSL

/// Ticket keys shared by a fleet, in HAProxy's format: one a line, base64 of 48 or 80 bytes, the
/// newest last.
struct TicketKeyFile {
  /// The last but one of the file.
  let encrypting: TicketKey
  /// The last three of the file, newest first.
  let decrypting: [TicketKey]
  /// When the file was last written, in seconds since 1970-01-01T00:00:00Z.
  let modified: Int64
  /// A finding where everyone on the machine can reach the file.
  let secrecyFinding: TLSFinding?

  init(path: String) throws(TLSError) {
    let file = try PEMFile(path: path)
    var keys: [TicketKey] = []
    // Wiped below, whatever becomes of the keys.
    var text = file.contents.withBytes { bytes in bytes.indices.map { bytes[$0] } }
    defer { unsafe OPENSSL_cleanse(&text, text.count) }
    let lines = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated() {
      if let key = try Self.key(in: line, path: path, number: index + 1) { keys.append(key) }
    }
    if keys.count < 3 {
      throw .ticketKeys(path: path, reason: "holds \(keys.count) keys, and 3 are needed")
    }
    encrypting = keys[keys.count - 2]
    decrypting = keys.suffix(3).reversed()
    modified = file.contents.modified
    secrecyFinding = file.secrecyFinding
  }

  /// The key on a line; nil where the line is blank.
  private static func key(
    in line: ArraySlice<UInt8>, path: String, number: Int
  ) throws(TLSError) -> TicketKey? {
    var text = line.filter { $0 > UInt8(ascii: " ") }
    if text.isEmpty { return nil }
    // Both copies of the key are wiped with the end of this call.
    defer { unsafe OPENSSL_cleanse(&text, text.count) }
    guard var bytes = decodedBase64(text) else {
      throw .ticketKeys(path: path, reason: "line \(number): not base64")
    }
    defer { unsafe OPENSSL_cleanse(&bytes, bytes.count) }
    guard let key = TicketKey(bytes.span) else {
      let reason = "line \(number): \(bytes.count) bytes, and a key has 48 or 80"
      throw .ticketKeys(path: path, reason: reason)
    }
    return key
  }
}

/// The bytes of standard base64 with padding (RFC 4648 §4), or nil.
private func decodedBase64(_ text: [UInt8]) -> [UInt8]? {
  if text.count % 4 != 0 { return nil }
  let padding = text.reversed().prefix { $0 == UInt8(ascii: "=") }.count
  if padding > 2 { return nil }
  var bytes = [UInt8](repeating: 0, count: text.count / 4 * 3)
  // Three bytes are written for each four that are read.
  let count = unsafe Int(EVP_DecodeBlock(&bytes, text, Int32(text.count)))
  ERR_clear_error()
  if count < 0 { return nil }
  bytes.removeLast(bytes.count - (count - padding))
  return bytes
}

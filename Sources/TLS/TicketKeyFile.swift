import COpenSSL

/// Ticket keys shared by a fleet, in HAProxy's format: one a line, base64 of 48 or 80 bytes, the
/// newest last.
struct TicketKeyFile {
  /// The last but one of the file.
  let encrypting: TicketKey
  /// The last three of the file, newest first.
  let decrypting: [TicketKey]
  /// A finding where everyone on the machine can reach the file.
  let secrecyFinding: TLSFinding?

  init(path: String) throws(TLSError) {
    let file = try PEMFile(path: path)
    var keys: [TicketKey] = []
    let lines = file.bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated() {
      let text = line.filter { $0 > UInt8(ascii: " ") }
      if text.isEmpty { continue }
      guard let bytes = decodedBase64(text) else {
        throw .ticketKeys(path: path, reason: "line \(index + 1): not base64")
      }
      guard let key = TicketKey(bytes.span) else {
        let reason = "line \(index + 1): \(bytes.count) bytes, and a key has 48 or 80"
        throw .ticketKeys(path: path, reason: reason)
      }
      keys.append(key)
    }
    if keys.count < 3 {
      throw .ticketKeys(path: path, reason: "holds \(keys.count) keys, and 3 are needed")
    }
    encrypting = keys[keys.count - 2]
    decrypting = keys.suffix(3).reversed()
    secrecyFinding = file.secrecyFinding
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
  return count < 0 ? nil : Array(bytes.prefix(count - padding))
}

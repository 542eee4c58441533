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
    let keys = try file.contents.withBytes { bytes throws(TLSError) in
      try Self.keys(in: bytes, path: path)
    }
    if keys.count < 3 {
      throw .ticketKeys(path: path, reason: "holds \(keys.count) keys, and 3 are needed")
    }
    encrypting = keys[keys.count - 2]
    decrypting = keys.suffix(3).reversed()
    modified = file.contents.modified
    secrecyFinding = file.secrecyFinding
  }

  private static func keys(in text: Span<UInt8>, path: String) throws(TLSError) -> [TicketKey] {
    var keys: [TicketKey] = []
    var (start, number) = (0, 0)
    while start <= text.count {
      var end = start
      while end < text.count, text[end] != UInt8(ascii: "\n") { end += 1 }
      number += 1
      if let key = try key(in: text.extracting(start..<end), path: path, number: number) {
        keys.append(key)
      }
      start = end + 1
    }
    return keys
  }

  /// The key on a line; nil where the line is blank.
  private static func key(
    in line: Span<UInt8>, path: String, number: Int
  ) throws(TLSError) -> TicketKey? {
    var text = SecretBytes(capacity: line.count)
    for index in line.indices where line[index] > UInt8(ascii: " ") { text.append(line[index]) }
    if text.count == 0 { return nil }
    guard let bytes = text.withBytes(decodedBase64) else {
      throw .ticketKeys(path: path, reason: "line \(number): not base64")
    }
    guard let key = bytes.withBytes({ TicketKey($0) }) else {
      let reason = "line \(number): \(bytes.count) bytes, and a key has 48 or 80"
      throw .ticketKeys(path: path, reason: reason)
    }
    return key
  }
}

/// The bytes of standard base64 with padding (RFC 4648 §4), or nil.
private func decodedBase64(_ text: Span<UInt8>) -> SecretBytes? {
  if text.count % 4 != 0 { return nil }
  var end = text.count
  while end > 0, text[end - 1] == UInt8(ascii: "=") { end -= 1 }
  let padding = text.count - end
  if padding > 2 { return nil }
  var bytes = SecretBytes(capacity: text.count / 4 * 3)
  let count = unsafe bytes.fill { target in
    // Three bytes are written for each four that are read.
    unsafe text.withUnsafeBufferPointer { source in
      unsafe Int(EVP_DecodeBlock(target, source.baseAddress, Int32(source.count)))
    }
  }
  ERR_clear_error()
  if count < 0 { return nil }
  bytes.truncate(to: count - padding)
  return bytes
}

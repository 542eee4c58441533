import COpenSSL
import Glibc

/// The bytes of a PEM file, read once, so that everything said about them is about the same
/// content.
struct PEMFile {
  /// Far more than any chain needs.
  static let bytesMax = 1 << 20

  let path: String
  /// Who may read and write it: the last nine bits of stat(2)'s mode.
  let mode: UInt32
  let bytes: [UInt8]

  /// Reads all of `path`.
  init(path: String) throws(TLSError) {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    if descriptor < 0 { throw .unreadable(path: path, errno: errno) }
    defer { close(descriptor) }
    var status = stat()
    // The descriptor is open, and `status` is filled where this answers 0.
    if unsafe fstat(descriptor, &status) != 0 { throw .unreadable(path: path, errno: errno) }
    let bytes = try readAll(of: descriptor, path: path)
    if bytes.allSatisfy({ $0 <= UInt8(ascii: " ") }) { throw .empty(path: path) }
    self.path = path
    self.bytes = bytes
    mode = status.st_mode & 0o777
  }

  /// All certificates in the order of the file.
  func certificates() throws(TLSError) -> CertificateChain {
    // The reader is a valid memory BIO; what is read is new and goes to its owner.
    let found = try unsafe blocks(named: "certificate", release: X509_free) { reader in
      unsafe PEM_read_bio_X509(reader, nil, refuse, nil)
    }
    return unsafe CertificateChain(owning: found)
  }

  /// All certificate revocation lists in the order of the file.
  func revocationLists() throws(TLSError) -> RevocationLists {
    // As above.
    let found = try unsafe blocks(named: "revocation list", release: X509_CRL_free) { reader in
      unsafe PEM_read_bio_X509_CRL(reader, nil, refuse, nil)
    }
    return unsafe RevocationLists(owning: found)
  }

  /// What `read` finds until it meets the end of the file, at least one; each is the caller's to
  /// release.
  private func blocks(
    named name: String, release: (OpaquePointer?) -> Void, _ read: (OpaquePointer) -> OpaquePointer?
  ) throws(TLSError) -> [OpaquePointer] {
    var found: [OpaquePointer] = unsafe []
    let end = unsafe withReader { reader in
      while let block = unsafe read(reader) { unsafe found.append(block) }
      return OpenSSLError.takeLast()
    }
    guard let end, end.isReason(PEM_R_NO_START_LINE, of: ERR_LIB_PEM) else {
      // Nobody else has seen them.
      unsafe found.forEach { unsafe release($0) }
      throw .damaged(path: path, reason: end?.text ?? "unknown")
    }
    if unsafe found.isEmpty { throw .notPEM(path: path, expected: name) }
    return unsafe found
  }

  /// The first private key of the file.
  func privateKey() throws(TLSError) -> PrivateKey {
    var isEncrypted = false
    var error: OpenSSLError?
    let key: PrivateKey? = unsafe withReader { reader in
      // `refuse` writes to the flag only while the call runs; the key is new and ours.
      let key = unsafe withUnsafeMutablePointer(to: &isEncrypted) { flag in
        unsafe PEM_read_bio_PrivateKey(reader, nil, refuse, flag)
      }
      error = OpenSSLError.takeLast()
      return unsafe key.map { unsafe PrivateKey(owning: $0) }
    }
    if let key { return key }
    if isEncrypted { throw .encryptedKey(path: path) }
    if !holdsPrivateKeyBlock { throw .notPEM(path: path, expected: "private key") }
    throw .damaged(path: path, reason: error?.text ?? "unknown")
  }

  /// A finding where everyone on the machine can read or change the file, which holds a secret.
  var secrecyFinding: TLSFinding? {
    mode & 0o006 == 0 ? nil : .secretOpenToAll(path: path, mode: mode)
  }

  /// OpenSSL reports a missing block and an undecodable one alike, so the label is looked for here.
  private var holdsPrivateKeyBlock: Bool {
    let text = String(decoding: bytes, as: UTF8.self)
    return text.split(separator: "\n").contains { line in
      line.hasPrefix("-----BEGIN ") && line.contains("PRIVATE KEY")
    }
  }

  private func withReader<Result>(_ body: (OpaquePointer) -> Result) -> Result {
    startOpenSSL()
    ERR_clear_error()
    // The BIO reads the array's storage and is freed before that can move.
    return unsafe bytes.withUnsafeBytes { buffer in
      guard let reader = unsafe BIO_new_mem_buf(buffer.baseAddress, Int32(buffer.count)) else {
        preconditionFailure("OpenSSL has no memory to read a file with")
      }
      defer { unsafe BIO_free(reader) }
      return unsafe body(reader)
    }
  }
}

/// OpenSSL's default asks for a password on the terminal; this gives none and notes in `flag` that
/// one was wanted.
private func refuse(
  _ buffer: UnsafeMutablePointer<CChar>?, _ capacity: Int32, _ isWriting: Int32,
  _ flag: UnsafeMutableRawPointer?
) -> Int32 {
  // `privateKey` passes its own Bool, `certificates` nothing.
  unsafe flag?.assumingMemoryBound(to: Bool.self).pointee = true
  return -1
}

/// Reads to the end, less than `PEMFile.bytesMax` bytes.
private func readAll(of descriptor: Int32, path: String) throws(TLSError) -> [UInt8] {
  var bytes: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 16384)
  while bytes.count < PEMFile.bytesMax {
    // At most the array's own bytes are written, and nobody else holds it.
    let count = unsafe read(descriptor, &chunk, chunk.count)
    let error = errno
    if count == 0 { return bytes }
    if count > 0 {
      bytes += chunk[..<count]
    } else if error != EINTR {
      throw .unreadable(path: path, errno: error)
    }
  }
  throw .tooLarge(path: path)
}

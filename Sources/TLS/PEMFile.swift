import COpenSSL
import Sys

/// The bytes of a PEM file, read once, so that everything said about them is about the same
/// content; wiped when nobody needs them any more.
struct PEMFile {
  /// Far more than any chain needs.
  static let bytesMax = 1 << 20
  /// More than a million revoked certificates take.
  static let revocationListBytesMax = 64 << 20

  let path: String
  let contents: FileContents

  /// Reads all of `path`, which may have `bytesMax` bytes.
  init(path: String, bytesMax: Int = Self.bytesMax) throws(TLSError) {
    self.path = path
    do {
      contents = try FileContents(path: path, bytesMax: bytesMax)
    } catch {
      switch error {
      case .unreadable(let code): throw .unreadable(path: path, errno: code)
      case .notRegular(let kind): throw .notRegular(path: path, kind: kind)
      case .tooLarge: throw .tooLarge(path: path, bytesMax: bytesMax)
      }
    }
    let isBlank = contents.withBytes { bytes in
      bytes.indices.allSatisfy { bytes[$0] <= UInt8(ascii: " ") }
    }
    if isBlank { throw .empty(path: path) }
  }

  /// All certificates in the order of the file.
  func certificates() throws(TLSError) -> CertificateChain {
    // The reader is a valid memory BIO; what is read is new and goes to its owner. A key may stand in the same file: it is decoded on the
    // way to the certificates.
    let found = try unsafe blocks(named: "certificate", release: X509_free) { reader in
      unsafe WipedMemory.whileReading { unsafe PEM_read_bio_X509(reader, nil, refuse, nil) }
    }
    return unsafe CertificateChain(owning: found)
  }

  /// All certificate revocation lists in the order of the file, each judged by `authorities`.
  func revocationLists(of authorities: CertificateChain) throws(TLSError) -> [RevocationList] {
    try RevocationList.decoding.withLock { _ throws(TLSError) in
      try decodeRevocationLists(of: authorities)
    }
  }

  private func decodeRevocationLists(
    of authorities: CertificateChain
  ) throws(TLSError) -> [RevocationList] {
    // As above; `RevocationList` takes each over, and what comes behind one that it refuses is freed here.
    let found = try unsafe blocks(named: "revocation list", release: X509_CRL_free) { reader in
      unsafe PEM_read_bio_X509_CRL(reader, nil, refuse, nil)
    }
    if unsafe found.count > RevocationList.countMax {
      unsafe found.forEach { unsafe X509_CRL_free($0) }
      throw .unusable(
        path: path, reason: "it holds more than \(RevocationList.countMax) revocation lists")
    }
    var lists: [RevocationList] = []
    do {
      while unsafe lists.count < found.count {
        let next = unsafe found[lists.count]
        lists.append(try unsafe RevocationList(owning: next, authorities, path: path))
      }
    } catch {
      unsafe found.dropFirst(lists.count + 1).forEach { unsafe X509_CRL_free($0) }
      throw error
    }
    return lists
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
        unsafe WipedMemory.whileReading {
          unsafe PEM_read_bio_PrivateKey(reader, nil, refuse, flag)
        }
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
    contents.mode & 0o006 == 0 ? nil : .secretOpenToAll(path: path, mode: contents.mode)
  }

  /// OpenSSL reports a missing block and an undecodable one alike, so the label is looked for here.
  private var holdsPrivateKeyBlock: Bool {
    contents.withBytes { bytes in
      var lineStart = 0
      for index in bytes.indices where bytes[index] == UInt8(ascii: "\n") {
        if isKeyLabel(bytes.extracting(lineStart..<index)) { return true }
        lineStart = index + 1
      }
      return isKeyLabel(bytes.extracting(lineStart..<bytes.count))
    }
  }

  private func withReader<Result>(_ body: (OpaquePointer) -> Result) -> Result {
    startOpenSSL()
    ERR_clear_error()
    // The BIO reads the file's bytes and is freed before they go.
    return contents.withBytes { bytes in
      unsafe bytes.withUnsafeBytes { buffer in unsafe read(buffer, body) }
    }
  }

  private func read<Result>(
    _ buffer: UnsafeRawBufferPointer, _ body: (OpaquePointer) -> Result
  ) -> Result {
    guard let reader = unsafe BIO_new_mem_buf(buffer.baseAddress, Int32(buffer.count)) else {
      preconditionFailure("OpenSSL has no memory to read a file with")
    }
    defer { unsafe BIO_free(reader) }
    return unsafe body(reader)
  }
}

/// Whether a line begins a private key of any kind (RFC 7468 §2). A label is no secret, what follows is: no other line is copied.
private func isKeyLabel(_ line: Span<UInt8>) -> Bool {
  let begin: StaticString = "-----BEGIN "
  guard line.count > begin.utf8CodeUnitCount else { return false }
  // A static string's bytes are there for as long as the program.
  for index in 0..<begin.utf8CodeUnitCount where unsafe line[index] != begin.utf8Start[index] {
    return false
  }
  let label = String(decoding: line.indices.prefix(64).map { line[$0] }, as: UTF8.self)
  return label.contains("PRIVATE KEY")
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

import TLS
import Testing

@Suite struct TLSCredentialsTests {
  private let fixtures: Fixtures

  init() throws {
    fixtures = try Fixtures.shared.get()
  }

  /// The error of loading a pair and making a context of it, or nil.
  private func error(certificate: String, key: String) -> TLSError? {
    do throws(TLSError) {
      let credentials = try TLSCredentials(certificatePath: certificate, keyPath: key)
      _ = try TLSContext(credentials: [credentials], policy: .intermediate)
      return nil
    } catch {
      return error
    }
  }

  @Test func `loads a chain and its key, in two files or one`() throws {
    let both = try Scratch.write(
      try Scratch.read(fixtures.ecdsaKey) + Scratch.read(fixtures.ecdsaChain), "both.pem")
    #expect(error(certificate: fixtures.ecdsaChain, key: fixtures.ecdsaKey) == nil)
    #expect(error(certificate: fixtures.rsaChain, key: fixtures.rsaKey) == nil)
    #expect(error(certificate: both, key: both) == nil)
  }

  @Test func `loads every common form of a key`() throws {
    let traditional = Scratch.file("sec1.key")
    try Subprocess.run("openssl", "ec", "-in", fixtures.ecdsaKey, "-out", traditional)
    let parameters = try Subprocess.run("openssl", "ecparam", "-name", "prime256v1")
    let withParameters = try Scratch.write(parameters + Scratch.read(traditional), "params.key")
    let rsa = Scratch.file("pkcs1.key")
    try Subprocess.run("openssl", "rsa", "-traditional", "-in", fixtures.rsaKey, "-out", rsa)
    #expect(error(certificate: fixtures.ecdsaChain, key: traditional) == nil)
    #expect(error(certificate: fixtures.ecdsaChain, key: withParameters) == nil)
    #expect(error(certificate: fixtures.rsaChain, key: rsa) == nil)
  }

  @Test func `tells a file that cannot be read from one that does not fit`() throws {
    let absent = Scratch.file("absent")
    let unreadable = TLSError.unreadable(path: absent, errno: 2)
    #expect(error(certificate: absent, key: fixtures.ecdsaKey) == unreadable)
    #expect(error(certificate: fixtures.ecdsaChain, key: absent) == unreadable)
    #expect(unreadable.isFileUnreadable)
    #expect(unreadable.description == "\(absent): cannot be read: No such file or directory")
    let folder = error(certificate: Scratch.directory, key: fixtures.ecdsaKey)
    #expect(folder == .unreadable(path: Scratch.directory, errno: 21))
  }

  @Test func `names what is wrong with a certificate file`() throws {
    let text = try Scratch.read(fixtures.ecdsaChain)
    let empty = try Scratch.write("\n \n", "empty.pem")
    let garbage = try Scratch.write("not a certificate\n", "garbage.pem")
    let cutOff = try Scratch.write(String(text.dropLast(200)), "cut.pem")
    let changed = try Scratch.write(
      text.replacing("MII", with: "AAA"), "changed.pem")
    let large = try Scratch.write(String(repeating: "x", count: 1 << 20), "large.pem")
    func error(_ path: String) -> TLSError? {
      self.error(certificate: path, key: fixtures.ecdsaKey)
    }
    #expect(error(empty) == .empty(path: empty))
    #expect(error(garbage) == .notPEM(path: garbage, expected: "certificate"))
    #expect(error(fixtures.ecdsaKey) == .notPEM(path: fixtures.ecdsaKey, expected: "certificate"))
    #expect(error(large) == .tooLarge(path: large))
    for path in [cutOff, changed] {
      guard case .damaged(path, let reason)? = error(path) else {
        Issue.record("\(path): \(String(describing: error(path)))")
        continue
      }
      #expect(!reason.isEmpty)
    }
  }

  @Test func `names what is wrong with a key file`() throws {
    let text = try Scratch.read(fixtures.ecdsaKey)
    let empty = try Scratch.write("", "empty.key")
    let cutOff = try Scratch.write(String(text.dropLast(100)), "cut.key")
    func error(_ path: String) -> TLSError? {
      self.error(certificate: fixtures.ecdsaChain, key: path)
    }
    #expect(error(empty) == .empty(path: empty))
    #expect(error(fixtures.root) == .notPEM(path: fixtures.root, expected: "private key"))
    #expect(error(fixtures.encryptedKey) == .encryptedKey(path: fixtures.encryptedKey))
    guard case .damaged(cutOff, _)? = error(cutOff) else {
      Issue.record("\(String(describing: error(cutOff)))")
      return
    }
    let mismatch = TLSError.keyMismatch(
      certificatePath: fixtures.ecdsaChain, keyPath: fixtures.rsaKey)
    #expect(error(fixtures.rsaKey) == mismatch)
    #expect(!mismatch.isFileUnreadable)
    #expect(mismatch.description.contains(fixtures.rsaKey))
  }

  @Test func `refuses the key of another certificate of the same type`() throws {
    let error = error(certificate: fixtures.intermediate, key: fixtures.ecdsaKey)
    #expect(
      error == .keyMismatch(certificatePath: fixtures.intermediate, keyPath: fixtures.ecdsaKey))
  }

  @Test func `refuses a weak key`() throws {
    let error = error(certificate: fixtures.weakCertificate, key: fixtures.weakKey)
    #expect(error == .tooWeak(path: fixtures.weakCertificate, reason: "ee key too small"))
  }
}

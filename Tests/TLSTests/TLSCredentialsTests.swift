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

  private func error(certificate: String) -> TLSError? {
    error(certificate: certificate, key: fixtures.ecdsaKey)
  }

  private func error(key: String) -> TLSError? {
    error(certificate: fixtures.ecdsaChain, key: key)
  }

  @Test func `loads a chain and its key, in two files or one`() throws {
    let both = try Scratch.join(fixtures.ecdsaKey, fixtures.ecdsaChain)
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
    #expect(error(key: traditional) == nil)
    #expect(error(key: withParameters) == nil)
    #expect(error(certificate: fixtures.rsaChain, key: rsa) == nil)
  }

  @Test func `tells a file that cannot be read from one that does not fit`() throws {
    let absent = Scratch.file("absent")
    let unreadable = TLSError.unreadable(path: absent, errno: 2)
    #expect(error(certificate: absent) == unreadable)
    #expect(error(key: absent) == unreadable)
    #expect(unreadable.isFileUnreadable)
    #expect(unreadable.description == "\(absent): cannot be read: No such file or directory")
    let folder = error(certificate: Scratch.directory)
    #expect(folder == .notRegular(path: Scratch.directory, kind: "a directory"))
  }

  @Test func `names what is wrong with a certificate file`() throws {
    let text = try Scratch.read(fixtures.ecdsaChain)
    let empty = try Scratch.write("\n \n", "empty.pem")
    let garbage = try Scratch.write("not a certificate\n", "garbage.pem")
    let cutOff = try Scratch.write(String(text.dropLast(200)), "cut.pem")
    let changed = try Scratch.write(text.replacing("MII", with: "AAA"), "changed.pem")
    let large = try Scratch.write(String(repeating: "x", count: 1 << 20 | 1), "large.pem")
    let key = fixtures.ecdsaKey
    #expect(error(certificate: empty) == .empty(path: empty))
    #expect(error(certificate: garbage) == .notPEM(path: garbage, expected: "certificate"))
    #expect(error(certificate: key) == .notPEM(path: key, expected: "certificate"))
    #expect(error(certificate: large) == .tooLarge(path: large, bytesMax: 1 << 20))
    for path in [cutOff, changed] {
      guard case .damaged(path, let reason)? = error(certificate: path) else {
        Issue.record("\(path): \(String(describing: error(certificate: path)))")
        continue
      }
      #expect(!reason.isEmpty)
    }
  }

  @Test func `names what is wrong with a key file`() throws {
    let text = try Scratch.read(fixtures.ecdsaKey)
    let empty = try Scratch.write("", "empty.key")
    let cutOff = try Scratch.write(String(text.dropLast(100)), "cut.key")
    #expect(error(key: empty) == .empty(path: empty))
    #expect(error(key: fixtures.root) == .notPEM(path: fixtures.root, expected: "private key"))
    guard case .damaged(cutOff, _)? = error(key: cutOff) else {
      Issue.record("\(String(describing: error(key: cutOff)))")
      return
    }
  }

  @Test(arguments: [["-aes128"], ["-traditional", "-aes256"]])
  func `refuses an encrypted key without asking for its password`(options: [String]) throws {
    let path = Scratch.file("encrypted.key")
    let arguments = ["openssl", "pkey", "-in", fixtures.ecdsaKey, "-out", path]
    let (status, output) = try Subprocess(arguments + options + ["-passout", "pass:secret"]).wait()
    #expect(status == 0, "\(output)")
    #expect(error(key: path) == .encryptedKey(path: path))
  }

  @Test func `refuses the key of another certificate`() throws {
    let (chain, leaf) = (fixtures.ecdsaChain, fixtures.ecdsaLeaf)
    let mismatch = TLSError.keyMismatch(certificatePath: chain, keyPath: fixtures.rsaKey)
    #expect(error(key: fixtures.rsaKey) == mismatch)
    #expect(!mismatch.isFileUnreadable)
    #expect(mismatch.description.contains(fixtures.rsaKey))
    let other = fixtures.clientAuthority.pair.key
    #expect(error(key: other) == .keyMismatch(certificatePath: chain, keyPath: other))
    let reversed = try Scratch.join(fixtures.intermediate, leaf)
    let notFirst = TLSError.leafNotFirst(certificatePath: reversed, keyPath: fixtures.ecdsaKey)
    #expect(error(certificate: reversed) == notFirst)
  }

  @Test func `refuses a weak key`() throws {
    let weak = try fixtures.intermediateAuthority.issue("weak", key: ["rsa:1024"])
    let error = error(certificate: weak.certificate, key: weak.key)
    #expect(error == .tooWeak(path: weak.certificate, reason: "ee key too small"))
  }

  @Test func `refuses two pairs with keys of one type`() throws {
    let other = try fixtures.intermediateAuthority.issue("other")
    let pair = TLSConfiguration.CredentialPaths(certificate: other.certificate, key: other.key)
    let error = TLSError.sameKeyType(
      firstPath: fixtures.ecdsaKey, secondPath: other.key, key: "ECDSA P-256")
    #expect(throws: error) { _ = try fixtures.context([fixtures.ecdsa, fixtures.rsa, pair]) }
  }

  @Test func `knows what openssl says of a certificate`() throws {
    let facts = try fixtures.context([fixtures.ecdsa, fixtures.rsa]).facts
    let text = try Subprocess.run(
      "openssl", "x509", "-in", fixtures.ecdsaLeaf, "-noout", "-serial", "-dates", "-dateopt",
      "iso_8601")
    let expected = """
      serial=\(facts[0].serial)
      notBefore=\(timeText(facts[0].notBefore).replacing("T", with: " "))
      notAfter=\(timeText(facts[0].notAfter).replacing("T", with: " "))

      """
    #expect(text == expected)
    #expect(facts[0].subject == "CN=localhost,O=Example")
    #expect(facts[0].issuer == "CN=Intermediate,O=Example")
    #expect(facts[0].commonName == "localhost")
    #expect(facts.map(\.key) == ["ECDSA P-256", "RSA 2048"])
  }

  @Test func `warns in steps before the end`() throws {
    let hour: Int64 = 3600
    let list = Expiring.revocationList(
      path: "list", issuer: "CN=Clients", lastUpdate: 0, nextUpdate: 60 * hour)
    #expect(list.lifetimeSeconds == 60 * hour)
    let stages: [(Int64, ExpiryStage)] = [
      (60 * hour, .farOff), (20 * hour + 1, .farOff), (20 * hour, .lastThird),
      (10 * hour + 1, .lastThird), (10 * hour, .lastSixth), (0, .lastSixth), (-1, .ended),
    ]
    for (left, stage) in stages {
      #expect(list.stage(at: list.end - left) == stage, "\(left)")
    }
    #expect(ExpiryStage.lastSixth > .lastThird)
    #expect(ExpiryStage.allCases.sorted() == ExpiryStage.allCases)
  }

  @Test func `what ends is the leaf, its chain, client authorities and lists`() throws {
    let list = try fixtures.clientAuthority.revocationList()
    let clients = ClientVerification(
      mode: .required, authoritiesPath: fixtures.clientAuthority.pair.certificate,
      revocationListsPath: list)
    let context = try fixtures.context(clients: clients)
    let told = context.expiring.map { one in
      switch one {
      case .certificate(let role, _, let facts): "\(role.rawValue) \(facts.commonName ?? "")"
      case .revocationList(_, let issuer, _, _): issuer
      }
    }
    #expect(told == ["leaf localhost", "chain Intermediate", "client_ca Clients", "CN=Clients"])
    #expect(context.expiring.allSatisfy { $0.end - $0.start == $0.lifetimeSeconds })
    #expect(context.expiring.allSatisfy { $0.lifetimeSeconds > 29 * 86_400 })
  }
}

import Glibc
import TLS
import Testing

/// What is served all the same, and said at start.
@Suite struct TLSFindingTests {
  private let fixtures: Fixtures
  /// Asked anew each time: a certificate is valid from the second it was made in.
  private var now: Int64 { Int64(time(nil)) }

  init() throws {
    fixtures = try Fixtures.shared.get()
  }

  private func findings(_ certificate: String, _ key: String) throws -> [TLSFinding] {
    let pair = TLSConfiguration.CredentialPaths(certificate: certificate, key: key)
    return try fixtures.context([pair]).findings(at: now)
  }

  @Test func `finds nothing wrong with a sound pair`() throws {
    #expect(try findings(fixtures.ecdsaChain, fixtures.ecdsaKey) == [])
    let withRoot = try Scratch.join(fixtures.ecdsaChain, fixtures.root)
    #expect(try findings(withRoot, fixtures.ecdsaKey) == [])
  }

  @Test func `finds a chain out of order`() throws {
    let chain = try Scratch.join(
      try Scratch.join(fixtures.ecdsaLeaf, fixtures.root), fixtures.intermediate)
    let expected = TLSFinding.chainOutOfOrder(path: chain, subject: "CN=localhost,O=Example")
    #expect(try findings(chain, fixtures.ecdsaKey) == [expected])
  }

  @Test func `finds a missing intermediate`() throws {
    let leaf = fixtures.ecdsaLeaf
    let wrong = try Scratch.join(leaf, fixtures.root)
    for path in [leaf, wrong] {
      let expected = TLSFinding.missingIssuer(
        path: path, subject: "CN=localhost,O=Example", issuer: "CN=Intermediate,O=Example")
      #expect(try findings(path, fixtures.ecdsaKey) == [expected])
      #expect(expected.description.hasPrefix("\(path): the issuer of "))
    }
  }

  @Test func `finds a leaf outside its time, or without a name`() throws {
    let authority = fixtures.intermediateAuthority
    let old = try authority.issue("old", from: "20200101000000Z", until: "20210101000000Z")
    let new = try authority.issue("new", from: "20400101000000Z", until: "20410101000000Z")
    let nameless = try authority.issue("nameless", extensions: "basicConstraints=CA:FALSE")
    func chain(_ pair: Authority.Pair) throws -> String {
      try Scratch.join(pair.certificate, fixtures.intermediate)
    }
    let (oldChain, newChain, namelessChain) = (try chain(old), try chain(new), try chain(nameless))
    let expired = TLSFinding.expired(
      path: oldChain, subject: "CN=old,O=Example", notAfter: 1_609_459_200)
    #expect(try findings(oldChain, old.key) == [expired])
    #expect(expired.description.hasSuffix("`CN=old,O=Example` expired at 2021-01-01T00:00:00Z"))
    let early = TLSFinding.notYetValid(
      path: newChain, subject: "CN=new,O=Example", notBefore: 2_208_988_800)
    #expect(try findings(newChain, new.key) == [early])
    let unnamed = TLSFinding.noSubjectAlternativeName(path: namelessChain)
    #expect(try findings(namelessChain, nameless.key) == [unnamed])
  }

  @Test(arguments: [(0o600, false), (0o640, false), (0o644, true), (0o602, true)])
  func `finds a key everyone can reach`(mode: Int, isFound: Bool) throws {
    let key = try Scratch.write(try Scratch.read(fixtures.ecdsaKey), "mode.key")
    #expect(unsafe chmod(key, mode_t(mode)) == 0)
    let expected = TLSFinding.secretOpenToAll(path: key, mode: UInt32(mode))
    #expect(try findings(fixtures.ecdsaChain, key) == (isFound ? [expected] : []))
    if mode == 0o644 { #expect(expected.description.contains("(mode 0644)")) }
  }

  @Test func `finds ciphers that Mozilla has dropped`() throws {
    var policy = TLSPolicy.intermediate
    policy.ciphers = "ECDHE+AESGCM:DHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-SHA:AES128-GCM-SHA256"
    let findings = try fixtures.context(policy: policy).findings(at: now)
    let weak = ["DHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA", "AES128-GCM-SHA256"]
    #expect(findings == [.weakCiphers(names: weak)])
    policy.minimumVersion = .tls13
    #expect(try fixtures.context(policy: policy).findings(at: now) == [])
  }

  @Test func `finds an expired revocation list`() throws {
    let list = try fixtures.clientAuthority.revocationList(nextUpdate: "20210101000000Z")
    let clients = ClientVerification(
      mode: .required, authoritiesPath: fixtures.clientAuthority.pair.certificate,
      revocationListsPath: list)
    let expected = TLSFinding.revocationListExpired(
      path: list, issuer: "CN=Clients", nextUpdate: 1_609_459_200)
    #expect(try fixtures.context(clients: clients).findings(at: now) == [expected])
  }

  @Test func `finds a revocation list of the future, unless there is one of now`() throws {
    // What is made below is valid by then.
    let later = now + 3600
    let authority = fixtures.clientAuthority
    let list = try authority.revocationList(
      lastUpdate: "20400101000000Z", nextUpdate: "20410101000000Z")
    var clients = ClientVerification(
      mode: .required, authoritiesPath: authority.pair.certificate, revocationListsPath: list)
    let expected = TLSFinding.revocationListNotYetValid(
      path: list, issuer: "CN=Clients", lastUpdate: 2_208_988_800)
    #expect(try fixtures.context(clients: clients).findings(at: later) == [expected])
    #expect(
      expected.description.hasSuffix(
        "the list of `CN=Clients` is not valid before 2040-01-01T00:00:00Z: its clients are refused"
      ))
    clients.revocationListsPath = try Scratch.join(list, try authority.revocationList())
    #expect(try fixtures.context(clients: clients).findings(at: later) == [])
  }

  @Test func `finds a client CA without a revocation list, unless it has issued another`() throws {
    // What is made below is valid by then.
    let later = now + 3600
    let authority = fixtures.clientAuthority
    let department = try Authority("Unlisted", issuer: authority)
    let other = try Authority("Other")
    let path = try Scratch.join(
      try Scratch.join(authority.pair.certificate, department.pair.certificate),
      other.pair.certificate)
    let list = try other.revocationList()
    var clients = ClientVerification(
      mode: .required, authoritiesPath: path, revocationListsPath: list)
    let expected = TLSFinding.revocationListMissing(path: list, issuer: "CN=Unlisted,O=Example")
    let found = try fixtures.context(clients: clients).findings(at: later)
    #expect(found == [expected])
    clients.revocationListsPath = nil
    #expect(try fixtures.context(clients: clients).findings(at: later) == [])
  }
}

import Glibc
import TLS
import Testing

@Suite struct CredentialWatchTests {
  private let fixtures: Fixtures
  private let folder: String
  private var watch: CredentialWatch

  /// Files of its own in a folder of its own, first the ECDSA pair.
  init() throws {
    fixtures = try Fixtures.shared.get()
    folder = Scratch.file("live")
    #expect(unsafe mkdir(folder, 0o700) == 0)
    let pair = TLSConfiguration.CredentialPaths(
      certificate: "\(folder)/chain.pem", key: "\(folder)/key.pem")
    try Scratch.write(try Scratch.read(fixtures.ecdsaChain), to: pair.certificate)
    try Scratch.write(try Scratch.read(fixtures.ecdsaKey), to: pair.key)
    watch = try CredentialWatch(
      TLSConfiguration(credentials: [pair]), tickets: try TicketKeyRing())
  }

  /// Puts a copy of `source` in the place of `name`, as certbot does: under another name, then
  /// renamed.
  private func replace(_ name: String, with source: String) throws {
    try Scratch.write(try Scratch.read(source), to: "\(folder)/\(name).new")
    #expect(unsafe rename("\(folder)/\(name).new", "\(folder)/\(name)") == 0)
  }

  /// Nil where nothing was loaded.
  private func reloaded(_ look: CredentialWatch.Look) -> TLSReloadResult? {
    if case .reloaded(let result) = look { result } else { nil }
  }

  private var served: String { watch.contexts.load().facts[0].key }

  @Test mutating func `files that stay are left alone`() {
    #expect(watch.look() == .unchanged)
    #expect(watch.look() == .unchanged)
    #expect(watch.contexts.generation == 1)
  }

  @Test mutating func `waits until both files fit together, and says once what does not`() throws {
    try replace("chain.pem", with: fixtures.rsaChain)
    #expect(watch.look() == .changing)
    let mismatch = TLSError.keyMismatch(
      certificatePath: "\(folder)/chain.pem", keyPath: "\(folder)/key.pem")
    #expect(reloaded(watch.look())?.errors == [mismatch])
    #expect(watch.look() == .unchanged)
    #expect(served == "ECDSA P-256")
    #expect(watch.contexts.generation == 1)
    try replace("key.pem", with: fixtures.rsaKey)
    #expect(watch.look() == .changing)
    let result = try #require(reloaded(watch.look()))
    #expect(result.replaced.map(\.old.key) == ["ECDSA P-256"])
    #expect(result.replaced.map(\.new.key) == ["RSA 2048"])
    #expect(result.replaced[0].old.serial != result.replaced[0].new.serial)
    #expect(result.errors.isEmpty && result.findings.isEmpty)
    #expect(served == "RSA 2048")
    #expect(watch.contexts.generation == 2)
    #expect(watch.look() == .unchanged)
  }

  @Test mutating func `a file still being written is waited for`() throws {
    let text = try Scratch.read(fixtures.ecdsaChain)
    try Scratch.write(String(text.prefix(100)), to: "\(folder)/chain.pem")
    #expect(watch.look() == .changing)
    try Scratch.write(String(text.prefix(1000)), to: "\(folder)/chain.pem")
    #expect(watch.look() == .changing)
    try Scratch.write(text, to: "\(folder)/chain.pem")
    #expect(watch.look() == .changing)
    #expect(reloaded(watch.look())?.replaced.count == 1, "a file at rest was not loaded")
  }

  @Test mutating func `a file that goes and comes back as it was is a change at most`() throws {
    let (path, aside) = ("\(folder)/key.pem", "\(folder)/aside")
    #expect(unsafe rename(path, aside) == 0)
    #expect(watch.look() == .changing)
    #expect(reloaded(watch.look())?.errors == [.unreadable(path: path, errno: ENOENT)])
    #expect(watch.look() == .unchanged)
    #expect(unsafe rename(aside, path) == 0)
    #expect(watch.look() == .changing)
    #expect(reloaded(watch.look())?.replaced.count == 1, "a file that came back was not loaded")
  }

  @Test func `follows a symbolic link that is swapped`() throws {
    // As Kubernetes mounts a secret: key and chain by way of `data`, which is replaced in one step.
    for (name, pair) in [("1", fixtures.ecdsa), ("2", fixtures.rsa)] {
      #expect(unsafe mkdir("\(folder)/\(name)", 0o700) == 0)
      try Scratch.write(try Scratch.read(pair.certificate), to: "\(folder)/\(name)/chain")
      try Scratch.write(try Scratch.read(pair.key), to: "\(folder)/\(name)/key")
    }
    #expect(unsafe symlink("1", "\(folder)/data") == 0)
    let pair = TLSConfiguration.CredentialPaths(
      certificate: "\(folder)/data/chain", key: "\(folder)/data/key")
    var watch = try CredentialWatch(
      TLSConfiguration(credentials: [pair]), tickets: try TicketKeyRing())
    #expect(unsafe symlink("2", "\(folder)/data.new") == 0)
    #expect(unsafe rename("\(folder)/data.new", "\(folder)/data") == 0)
    #expect(watch.look() == .changing)
    #expect(reloaded(watch.look())?.replaced.count == 1, "a swapped link was not noticed")
    #expect(watch.contexts.load().facts[0].key == "RSA 2048")
  }

  @Test mutating func `loads on demand, changed or not`() throws {
    let result = watch.reload()
    #expect(result.errors.isEmpty)
    #expect(result.replaced.map(\.old) == result.replaced.map(\.new))
    #expect(watch.contexts.generation == 2)
    try replace("key.pem", with: fixtures.rsaKey)
    #expect(watch.reload().errors.count == 1, "a pair that does not fit was loaded")
    // Tried, so that the next look has nothing new.
    #expect(watch.look() == .unchanged)
  }

  @Test func `a bad certificate leaves ticket keys as they were`() throws {
    let keys = try Scratch.write(
      String(repeating: String(repeating: "A", count: 64) + "\n", count: 3), "watched.keys")
    let certificate = try Scratch.write(try Scratch.read(fixtures.ecdsaChain), "watched.pem")
    let pair = TLSConfiguration.CredentialPaths(certificate: certificate, key: fixtures.ecdsaKey)
    let configuration = TLSConfiguration(credentials: [pair], ticketKeyPath: keys)
    #expect(configuration.paths == [certificate, fixtures.ecdsaKey, keys])
    var watch = try CredentialWatch(configuration, tickets: try TicketKeyRing())
    try Scratch.write("bad\n", to: keys)
    #expect(watch.look() == .changing)
    let error = TLSError.ticketKeys(path: keys, reason: "line 1: not base64")
    #expect(reloaded(watch.look())?.errors == [error])
  }

  @Test func `one bad file keeps its old content, and none of the others`() throws {
    let keys = ["A", "B"].map { letter in
      String(repeating: String(repeating: letter, count: 64) + "\n", count: 3)
    }
    let authority = fixtures.clientAuthority
    let list = try Scratch.write(try Scratch.read(try authority.revocationList()), "kept.crl")
    let tickets = try Scratch.write(keys[0], "kept.keys")
    let (chain, key) = ("\(folder)/chain.pem", "\(folder)/key.pem")
    let configuration = TLSConfiguration(
      credentials: [.init(certificate: chain, key: key), fixtures.rsa],
      clients: ClientVerification(
        mode: .required, authoritiesPath: authority.pair.certificate, revocationListsPath: list),
      ticketKeyPath: tickets)
    var watch = try CredentialWatch(configuration, tickets: try TicketKeyRing())
    func lists(_ watch: CredentialWatch) -> [Expiring] {
      watch.contexts.load().expiring.filter { if case .revocationList = $0 { true } else { false } }
    }
    let old = lists(watch)

    // A pair of the other's type fits by itself, and not beside it.
    try replace("chain.pem", with: fixtures.rsaChain)
    try replace("key.pem", with: fixtures.rsaKey)
    try Scratch.write(
      try Scratch.read(try authority.revocationList(nextUpdate: "20400101000000Z")), to: list)
    try Scratch.write(keys[1], to: tickets)
    var result = watch.reload()
    #expect(
      result.errors
        == [.sameKeyType(firstPath: key, secondPath: fixtures.rsaKey, key: "RSA 2048")])
    #expect(result.replaced.isEmpty && result.hasNewTicketKey)
    #expect(watch.contexts.load().facts.map(\.key) == ["ECDSA P-256", "RSA 2048"])
    let new = lists(watch)
    #expect(new.map(\.end) == [2_208_988_800] && old != new)

    // The pair is back; a list that is none stays what it was.
    try replace("chain.pem", with: fixtures.ecdsaChain)
    try replace("key.pem", with: fixtures.ecdsaKey)
    try Scratch.write("none\n", to: list)
    result = watch.reload()
    #expect(result.errors == [.notPEM(path: list, expected: "revocation list")])
    #expect(result.replaced.count == 2 && !result.hasNewTicketKey)
    #expect(lists(watch) == new)
  }

  @Test func `throws where the first load does not fit`() {
    let pair = TLSConfiguration.CredentialPaths(
      certificate: fixtures.ecdsaChain, key: fixtures.rsaKey)
    #expect(throws: TLSError.self) {
      _ = try CredentialWatch(TLSConfiguration(credentials: [pair]), tickets: try TicketKeyRing())
    }
  }
}

import TLS
import Testing

@Suite struct TLSContextTests {
  private let fixtures: Fixtures
  private let server: LoopbackServer

  init() throws {
    fixtures = try Fixtures.shared.get()
    server = try LoopbackServer()
  }

  /// What Python prints who does `body` with one connection to `context`.
  private func output(_ context: TLSContext, _ body: String) throws -> String {
    let client = server.python(root: fixtures.root, body)
    return try server.serve(client: client, context: { _ in context }).output
  }

  @Test(arguments: [
    ("--tls-ciphers", "NO-SUCH-CIPHER"), ("--tls-ciphersuites", "TLS_NO_SUCH_SUITE"),
    ("--tls-groups", "X25519:no_such_group"),
  ])
  func `names the option that holds what OpenSSL does not know`(
    option: String, value: String
  ) throws {
    var policy = TLSPolicy.intermediate
    switch option {
    case "--tls-ciphers": policy.ciphers = value
    case "--tls-ciphersuites": policy.cipherSuites = value
    default: policy.groups = value
    }
    #expect(throws: TLSError.policy(option: option, value: value)) {
      _ = try fixtures.context(policy: policy)
    }
  }

  @Test func `says what is in force`() throws {
    let context = try fixtures.context([fixtures.ecdsa, fixtures.rsa])
    let lines = context.describe()
    let (ecdsa, rsa) = (context.facts[0], context.facts[1])
    #expect(lines[0] == "versions: TLS 1.2, TLS 1.3")
    #expect(
      lines[1] == "TLS 1.3 cipher suites: TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, "
        + "TLS_CHACHA20_POLY1305_SHA256")
    #expect(
      lines[2] == "TLS 1.2 ciphers: ECDHE-ECDSA-AES128-GCM-SHA256, ECDHE-RSA-AES128-GCM-SHA256, "
        + "ECDHE-ECDSA-AES256-GCM-SHA384, ECDHE-RSA-AES256-GCM-SHA384, "
        + "ECDHE-ECDSA-CHACHA20-POLY1305, ECDHE-RSA-CHACHA20-POLY1305")
    #expect(lines[3].hasSuffix("X25519, prime256v1, secp384r1"))
    #expect(
      lines[4] == "certificate: ECDSA P-256, CN=localhost,O=Example, serial \(ecdsa.serial), "
        + "valid until \(timeText(ecdsa.notAfter))")
    #expect(
      lines[5].hasPrefix("certificate: RSA 2048, CN=localhost,O=Example, serial \(rsa.serial)"))
    #expect(lines[6] == "client certificates: not asked for")
  }

  @Test func `modern refuses TLS 1_2 and says so`() throws {
    let context = try fixtures.context(policy: .modern)
    #expect(!context.describe().contains { $0.contains("1.2") })
    let client = server.python(
      root: fixtures.root,
      """
      context.maximum_version = ssl.TLSVersion.TLSv1_2
      try: wrap(connect())
      except ssl.SSLError as error: print(error.reason)
      """)
    let (outcomes, _, output) = try server.serve(client: client) { _ in context }
    #expect(output == "TLSV1_ALERT_PROTOCOL_VERSION\n")
    #expect(outcomes[0].failure?.message == "client offered only TLS 1.2")
  }

  /// What a client asks for first, and what it gets.
  @Test(arguments: [
    (
      "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"
    ),
    (
      "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"
    ),
    (
      "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-GCM-SHA256"
    ),
    ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
  ])
  func `prefers AES-128, but for a client that prefers ChaCha20`(
    offer: String, choice: String
  ) throws {
    let text = try output(
      try fixtures.context([fixtures.ecdsa, fixtures.rsa]),
      """
      context.maximum_version = ssl.TLSVersion.TLSv1_2
      context.set_ciphers("\(offer)")
      print(wrap(connect()).cipher()[0])
      """)
    #expect(text == "\(choice)\n")
  }

  @Test func `takes TLS 1_3 to AES-128 though the client prefers AES-256`() throws {
    #expect(
      try output(try fixtures.context(), "print(wrap(connect()).cipher()[0])")
        == "TLS_AES_128_GCM_SHA256\n")
  }

  @Test func `sends one ticket, without early data, and the chain as the file has it`() throws {
    let context = try fixtures.context(tickets: try TicketKeyRing())
    let client = [
      "openssl", "s_client", "-connect", "127.0.0.1:\(server.port)", "-ign_eof", "-showcerts",
    ]
    let (outcomes, _, output) = try server.serve(client: client, input: "hi\n") { _ in context }
    #expect(outcomes[0].received == Array("hi\n".utf8))
    #expect(output.split(separator: "Post-Handshake New Session Ticket arrived").count == 2)
    #expect(output.contains("Max Early Data: 0"))
    #expect(output.contains("TLS session ticket lifetime hint: 86400"))
    let subjects = output.split(separator: "\n").filter { $0.contains(" s:") }
    #expect(
      subjects == [" 0 s:O = Example, CN = localhost", " 1 s:O = Example, CN = Intermediate"])
  }

  @Test func `a published context is the next one loaded`() throws {
    let (first, second) = (try fixtures.context(), try fixtures.context())
    let store = TLSContextStore(first)
    let generation = store.generation
    #expect(store.load() === first)
    store.publish(second)
    #expect(store.generation != generation)
    #expect(store.load() === second)
  }

  @Test func `says which library runs`() {
    #expect(openSSLVersionText().hasPrefix("OpenSSL 3."))
  }
}

import TLS
import Testing

@Suite struct ClientCertificateTests {
  /// Client certificates, made once; all but `stranger` are of the same authority.
  private struct Clients {
    static let shared = Result { try Clients() }

    let right, expired, revoked, stranger, deep: Authority.Pair
    let list, departmentList, department: String

    private init() throws {
      let fixtures = try Fixtures.shared.get()
      let authority = fixtures.clientAuthority
      let extensions = "extendedKeyUsage=clientAuth"
      right = try authority.issue("right", extensions: extensions)
      expired = try authority.issue(
        "expired", extensions: extensions, from: "20200101000000Z", until: "20210101000000Z")
      revoked = try authority.issue("revoked", extensions: extensions)
      stranger = try fixtures.rootAuthority.issue("stranger", extensions: extensions)
      let intermediate = try Authority("Department", issuer: authority)
      department = intermediate.pair.certificate
      departmentList = try intermediate.revocationList()
      let leaf = try intermediate.issue("deep", extensions: extensions)
      deep = Authority.Pair(
        certificate: try Scratch.join(leaf.certificate, intermediate.pair.certificate),
        key: leaf.key)
      try authority.revoke(revoked.certificate)
      list = try Scratch.join(try authority.revocationList(), departmentList)
    }
  }

  private let fixtures: Fixtures
  private let clients: Clients
  private let server: LoopbackServer

  init() throws {
    fixtures = try Fixtures.shared.get()
    clients = try Clients.shared.get()
    server = try LoopbackServer()
  }

  private func verification(
    _ mode: ClientVerification.Mode = .required, withList: Bool = true, depth: Int = 4
  ) -> ClientVerification {
    ClientVerification(
      mode: mode, authoritiesPath: fixtures.clientAuthority.pair.certificate,
      revocationListsPath: withList ? clients.list : nil, depth: depth)
  }

  private func pair(_ name: String) -> Authority.Pair? {
    switch name {
    case "right": clients.right
    case "expired": clients.expired
    case "revoked": clients.revoked
    case "stranger": clients.stranger
    case "deep": clients.deep
    default: nil
    }
  }

  /// Who comes, whether a certificate is required, and the reason and the subject that come of it.
  static let outcomes: [(String, ClientVerification.Mode, String?, String?)] = [
    ("none", .required, "client_certificate_missing", nil),
    ("none", .optional, nil, nil),
    ("stranger", .required, "client_certificate_untrusted", nil),
    ("stranger", .optional, "client_certificate_untrusted", nil),
    ("expired", .required, "client_certificate_expired", nil),
    ("revoked", .required, "client_certificate_revoked", nil),
    ("revoked", .optional, "client_certificate_revoked", nil),
    ("right", .required, nil, "CN=right,O=Example"),
    ("right", .optional, nil, "CN=right,O=Example"),
    ("deep", .required, nil, "CN=deep,O=Example"),
  ]

  @Test(arguments: outcomes, ResumptionTests.versions)
  func `judges a client`(
    who: (name: String, mode: ClientVerification.Mode, reason: String?, subject: String?),
    version: String
  ) throws {
    let context = try fixtures.context(clients: verification(who.mode))
    let loading = pair(who.name).map { "context.load_cert_chain('\($0.certificate)', '\($0.key)')" }
    let client = server.python(
      root: fixtures.root,
      """
      context.minimum_version = context.maximum_version = ssl.TLSVersion.\(version)
      \(loading ?? "")
      try:
        s = wrap(connect()); s.sendall(b"hi\\n"); print(drain(s)); s.unwrap()
      except ssl.SSLError as error:
        print("refused:", error.reason)
      """)
    let (outcomes, _, output) = try server.serve(client: client) { _ in context }
    #expect(outcomes[0].failure?.label == who.reason, "\(output)")
    #expect(outcomes[0].clientSubject == who.subject)
    #expect(output.hasPrefix(who.reason == nil ? "b'hello" : "refused: "), "\(output)")
  }

  @Test func `says why a client is refused`() throws {
    let context = try fixtures.context(clients: verification())
    let client = server.python(
      root: fixtures.root,
      """
      context.load_cert_chain('\(clients.expired.certificate)', '\(clients.expired.key)')
      try: drain(wrap(connect()))
      except ssl.SSLError as error: print(error.reason)
      """)
    let (outcomes, _, output) = try server.serve(client: client) { _ in context }
    #expect(outcomes[0].failure?.message == "client certificate refused (certificate has expired)")
    #expect(output == "SSLV3_ALERT_CERTIFICATE_EXPIRED\n")
  }

  /// The words for what comes of one connection of `client`, or nil where it is served.
  private func refusal(
    of client: Authority.Pair, by verification: ClientVerification
  ) throws -> String? {
    let context = try fixtures.context(clients: verification)
    let client = server.python(
      root: fixtures.root,
      """
      context.load_cert_chain('\(client.certificate)', '\(client.key)')
      try: s = wrap(connect()); s.sendall(b"hi\\n"); drain(s); s.unwrap()
      except ssl.SSLError as error: pass
      """)
    return try server.serve(client: client) { _ in context }.outcomes[0].failure?.message
  }

  @Test func `counts the intermediates`() throws {
    #expect(try refusal(of: clients.deep, by: verification(depth: 1)) == nil)
    #expect(
      try refusal(of: clients.deep, by: verification(depth: 0))
        == "client certificate refused (certificate chain too long)")
  }

  @Test func `trusts an intermediate in itself`() throws {
    var department = verification(withList: false)
    department.authoritiesPath = clients.department
    #expect(try refusal(of: clients.deep, by: department) == nil)
    #expect(
      try refusal(of: clients.right, by: department)
        == "client certificate refused (unable to get local issuer certificate)")
  }

  @Test func `wants a list of the authority that signs a client, and of no other`() throws {
    var department = verification()
    department.revocationListsPath = clients.departmentList
    #expect(try refusal(of: clients.deep, by: department) == nil)
    #expect(
      try refusal(of: clients.right, by: department)
        == "client certificate refused (unable to get certificate CRL)")
  }

  /// Two connections of one client with the second context's view of it: resumed or not, and the
  /// reason if refused.
  private func resumption(
    of client: Authority.Pair, version: String, first: ClientVerification,
    second: ClientVerification
  ) throws -> (first: LoopbackServer.Outcome, second: LoopbackServer.Outcome) {
    let ring = try TicketKeyRing()
    let client = server.python(
      root: fixtures.root,
      """
      context.minimum_version = context.maximum_version = ssl.TLSVersion.\(version)
      context.load_cert_chain('\(client.certificate)', '\(client.key)')
      s = wrap(connect()); s.sendall(b"hi\\n"); drain(s); session = s.session; s.unwrap()
      try:
        s = context.wrap_socket(connect(), server_hostname="localhost", session=session)
        s.sendall(b"hi\\n"); drain(s); s.unwrap()
      except ssl.SSLError:
        pass
      """)
    let (outcomes, status, output) = try server.serve(connections: 2, client: client) { number in
      try fixtures.context(clients: number == 0 ? first : second, tickets: ring)
    }
    #expect(status == 0, "\(output)")
    return (outcomes[0], outcomes[1])
  }

  @Test(arguments: ResumptionTests.versions)
  func `resumes a client that is still right, and knows it`(version: String) throws {
    let (first, second) = try resumption(
      of: clients.right, version: version, first: verification(), second: verification())
    #expect(first.failure == nil && second.failure == nil)
    #expect(second.isResumed)
    #expect(second.clientSubject == "CN=right,O=Example")
  }

  @Test(arguments: ResumptionTests.versions)
  func `does not resume a client that has been revoked since`(version: String) throws {
    let (first, second) = try resumption(
      of: clients.revoked, version: version, first: verification(withList: false),
      second: verification())
    #expect(first.clientSubject == "CN=revoked,O=Example")
    #expect(second.failure?.label == "client_certificate_revoked")
  }

  @Test(arguments: ResumptionTests.versions)
  func `a changed authority starts afresh`(version: String) throws {
    var other = verification(withList: false)
    other.authoritiesPath = try Scratch.join(other.authoritiesPath, fixtures.root)
    let (first, second) = try resumption(
      of: clients.right, version: version, first: verification(withList: false), second: other)
    #expect(first.failure == nil && second.failure == nil)
    #expect(!second.isResumed)
    #expect(second.clientSubject == "CN=right,O=Example")
  }

  @Test(arguments: ResumptionTests.versions)
  func `a session without a certificate is of no use where one is required`(
    version: String
  ) throws {
    let ring = try TicketKeyRing()
    let client = server.python(
      root: fixtures.root,
      """
      context.minimum_version = context.maximum_version = ssl.TLSVersion.\(version)
      s = wrap(connect()); s.sendall(b"hi\\n"); drain(s); session = s.session; s.unwrap()
      try:
        s = context.wrap_socket(connect(), server_hostname="localhost", session=session)
        s.sendall(b"hi\\n"); drain(s)
      except ssl.SSLError:
        print("refused")
      """)
    let (outcomes, _, output) = try server.serve(connections: 2, client: client) { number in
      try fixtures.context(
        clients: verification(number == 0 ? .optional : .required), tickets: ring)
    }
    #expect(output == "refused\n")
    #expect(outcomes[1].failure?.label == "client_certificate_missing")
  }

  @Test func `says what clients are asked for`() throws {
    let lines = try fixtures.context(clients: verification()).describe()
    let path = fixtures.clientAuthority.pair.certificate
    #expect(
      lines.last == "client certificates: required, of \(path), revoked by \(clients.list), "
        + "at most 4 intermediates")
  }

  @Test func `names a client CA file that does not fit`() throws {
    var wrong = verification()
    wrong.authoritiesPath = fixtures.ecdsaKey
    #expect(throws: TLSError.notPEM(path: fixtures.ecdsaKey, expected: "certificate")) {
      _ = try fixtures.context(clients: wrong)
    }
    wrong = verification()
    wrong.revocationListsPath = fixtures.root
    #expect(throws: TLSError.notPEM(path: fixtures.root, expected: "revocation list")) {
      _ = try fixtures.context(clients: wrong)
    }
  }
}

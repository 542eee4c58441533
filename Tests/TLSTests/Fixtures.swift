import TLS

/// Keys and certificates made once in a run: a root, an intermediate and leaves, and an authority
/// for clients.
struct Fixtures: Sendable {
  static let shared = Result { try Fixtures() }

  let rootAuthority, intermediateAuthority, clientAuthority: Authority
  /// PEM files; a chain is leaf, intermediate.
  let root, intermediate: String
  let ecdsaLeaf, ecdsaChain, ecdsaKey: String
  let rsaChain, rsaKey: String

  private init() throws {
    rootAuthority = try Authority("Root")
    intermediateAuthority = try Authority("Intermediate", issuer: rootAuthority)
    clientAuthority = try Authority("Clients")
    root = rootAuthority.pair.certificate
    intermediate = intermediateAuthority.pair.certificate
    let ecdsa = try intermediateAuthority.issue("localhost")
    let rsa = try intermediateAuthority.issue("localhost", key: ["rsa:2048"])
    ecdsaLeaf = ecdsa.certificate
    ecdsaKey = ecdsa.key
    rsaKey = rsa.key
    ecdsaChain = try Scratch.join(ecdsa.certificate, intermediate)
    rsaChain = try Scratch.join(rsa.certificate, intermediate)
  }

  var ecdsa: TLSConfiguration.CredentialPaths { .init(certificate: ecdsaChain, key: ecdsaKey) }
  var rsa: TLSConfiguration.CredentialPaths { .init(certificate: rsaChain, key: rsaKey) }

  /// A context with the ECDSA pair, unless told otherwise.
  func context(
    _ credentials: [TLSConfiguration.CredentialPaths]? = nil, policy: TLSPolicy = .intermediate,
    clients: ClientVerification? = nil, tickets: TicketKeyRing? = nil
  ) throws -> TLSContext {
    try TLSContext(
      credentials: (credentials ?? [ecdsa]).map { pair in
        try TLSCredentials(certificatePath: pair.certificate, keyPath: pair.key)
      },
      policy: policy, clients: clients, tickets: tickets)
  }
}

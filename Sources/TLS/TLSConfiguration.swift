/// Everything TLS is configured with: files by their paths, and the policy.
package struct TLSConfiguration: Equatable, Sendable {
  /// A PEM chain, leaf first, and its PEM key.
  package struct CredentialPaths: Equatable, Sendable {
    /// The path of the chain.
    package var certificate: String
    /// The path of the key.
    package var key: String

    /// Nothing is read yet.
    package init(certificate: String, key: String) {
      self.certificate = certificate
      self.key = key
    }
  }

  /// At least one, and one for each type of key at most.
  package var credentials: [CredentialPaths]
  /// Versions and algorithms.
  package var policy: TLSPolicy
  /// What clients must show; nil asks for nothing.
  package var clients: ClientVerification?
  /// Ticket keys shared by a fleet; nil for keys of our own.
  package var ticketKeyPath: String?

  /// Nothing is read yet.
  package init(
    credentials: [CredentialPaths], policy: TLSPolicy = .intermediate,
    clients: ClientVerification? = nil, ticketKeyPath: String? = nil
  ) {
    self.credentials = credentials
    self.policy = policy
    self.clients = clients
    self.ticketKeyPath = ticketKeyPath
  }

  /// All files, for whoever watches them.
  package var paths: [String] {
    let more = [clients?.authoritiesPath, clients?.revocationListsPath, ticketKeyPath]
    return credentials.flatMap { [$0.certificate, $0.key] } + more.compactMap { $0 }
  }

  /// Reads every file and makes a context of them, whose clients are judged by what was read.
  ///
  /// `tickets` is touched last, and only where all else fits. This takes milliseconds, and with long revocation lists
  /// seconds: not for a worker's thread.
  package func load(tickets: TicketKeyRing) throws(TLSError) -> TLSContext {
    var errors: [TLSError] = []
    let files = try CredentialFiles(self, keeping: nil, &errors)
    let trust = try files.trust(self)
    let context = try files.context(
      self, clients: trust.map { ClientTrustStore($0) }, trust: trust, tickets: tickets)
    if let ticketKeys = files.ticketKeys { tickets.replace(with: ticketKeys) }
    return context
  }
}

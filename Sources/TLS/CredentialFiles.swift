/// The files of a configuration, each as it was last read whole. What cannot be taken does not keep the others back.
struct CredentialFiles {
  /// As many as the configuration names, in its order.
  var credentials: [TLSCredentials] = []
  private(set) var authorities: CertificateChain?
  private(set) var lists: [RevocationList] = []
  private(set) var ticketKeys: TicketKeyFile?
  /// How many files, or pairs, were read anew.
  private(set) var readCount = 0

  /// Reads all that `configuration` names.
  ///
  /// - Parameters:
  ///   - old: what stands in for what cannot be taken; without it that is thrown.
  ///   - errors: what could not be taken is appended.
  init(
    _ configuration: TLSConfiguration, keeping old: CredentialFiles?, _ errors: inout [TLSError]
  ) throws(TLSError) {
    for (index, pair) in configuration.credentials.enumerated() {
      let kept = old?.credentials[index]
      credentials.append(
        try take(or: kept, &errors) { () throws(TLSError) in
          try TLSCredentials(certificatePath: pair.certificate, keyPath: pair.key)
        })
    }
    if let clients = configuration.clients {
      let authorities = try take(or: old?.authorities, &errors) { () throws(TLSError) in
        try clients.readAuthorities()
      }
      lists = try take(or: old?.lists, &errors) { () throws(TLSError) in
        try clients.readRevocationLists(of: authorities)
      }
      self.authorities = authorities
    }
    if let path = configuration.ticketKeyPath {
      ticketKeys = try take(or: old?.ticketKeys, &errors) { () throws(TLSError) in
        try TicketKeyFile(path: path)
      }
    }
  }

  private mutating func take<Content>(
    or old: Content?, _ errors: inout [TLSError], _ read: () throws(TLSError) -> Content
  ) throws(TLSError) -> Content {
    do {
      let content = try read()
      readCount += 1
      return content
    } catch {
      guard let old else { throw error }
      errors.append(error)
      return old
    }
  }

  /// Judges clients by these files; nil where clients are not asked.
  func trust(_ configuration: TLSConfiguration) throws(TLSError) -> ClientTrust? {
    guard let clients = configuration.clients, let authorities else { return nil }
    return try ClientTrust(clients, authorities, lists)
  }

  /// A context of these certificates.
  func context(
    _ configuration: TLSConfiguration, clients: ClientTrustStore?, trust: ClientTrust?,
    tickets: TicketKeyRing
  ) throws(TLSError) -> TLSContext {
    try TLSContext(
      credentials: credentials, policy: configuration.policy, clients: clients, trust: trust,
      tickets: tickets, ticketFinding: ticketKeys?.secrecyFinding)
  }
}

extension ClientVerification {
  func readAuthorities() throws(TLSError) -> CertificateChain {
    try PEMFile(path: authoritiesPath).certificates()
  }

  /// Empty where no file is named.
  func readRevocationLists(of authorities: CertificateChain) throws(TLSError) -> [RevocationList] {
    guard let path = revocationListsPath else { return [] }
    return try PEMFile(path: path, bytesMax: PEMFile.revocationListBytesMax)
      .revocationLists(of: authorities)
  }

  /// Reads both files.
  func read() throws(TLSError) -> ClientTrust {
    let authorities = try readAuthorities()
    return try ClientTrust(self, authorities, try readRevocationLists(of: authorities))
  }
}

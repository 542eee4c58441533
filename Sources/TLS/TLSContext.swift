import COpenSSL

/// Everything connections have in common: certificates, policy, resumption. Built whole, then never
/// changed.
///
/// `@unchecked` is right because nothing is set on the `SSL_CTX` after `init`, and OpenSSL counts
/// its references and guards its own state where threads make sessions from it at the same time.
@safe
package final class TLSContext: @unchecked Sendable {
  // One reference of ours, given back in `deinit`; each session holds another.
  private let context: OpaquePointer
  private let credentials: [TLSCredentials]
  /// Who judges clients' certificates; nil where none is asked for.
  package let clients: ClientTrustStore?
  private let ticketFinding: TLSFinding?
  private let policy: TLSPolicy
  /// The key exchange groups in force, in OpenSSL's notation.
  private let groups: String

  /// - Parameters:
  ///   - credentials: at least one, and at most one for each type of key.
  ///   - clients: what clients must show, read now; nil asks for nothing.
  ///   - tickets: keys that outlive this context; nil for keys of its own.
  package convenience init(
    credentials: [TLSCredentials], policy: TLSPolicy, clients: ClientVerification? = nil,
    tickets: TicketKeyRing? = nil
  ) throws(TLSError) {
    let trust = try clients?.read()
    try self.init(
      credentials: credentials, policy: policy, clients: trust.map { ClientTrustStore($0) },
      trust: trust, tickets: tickets, ticketFinding: nil)
  }

  /// - Parameters:
  ///   - clients: outlives this context.
  ///   - trust: what `clients` holds, or will hold when the context is used; nil where `clients` is.
  ///   - ticketFinding: what came up when a ticket key file was read.
  init(
    credentials: [TLSCredentials], policy: TLSPolicy, clients: ClientTrustStore?,
    trust: ClientTrust?, tickets: TicketKeyRing?, ticketFinding: TLSFinding?
  ) throws(TLSError) {
    precondition(!credentials.isEmpty, "a server needs a certificate")
    startOpenSSL()
    ERR_clear_error()
    guard let context = unsafe SSL_CTX_new(TLS_server_method()) else { throw Self.refusal() }
    do {
      try unsafe configure(context)
      groups = try unsafe policy.install(in: context)
      try unsafe Self.install(credentials, in: context)
      if let clients, let trust { try unsafe clients.install(trust, in: context) }
      try unsafe identify(context, for: trust)
      try unsafe tickets?.install(in: context)
    } catch {
      // Nobody else has it yet.
      unsafe SSL_CTX_free(context)
      throw error
    }
    unsafe self.context = context
    self.credentials = credentials
    self.clients = clients
    self.ticketFinding = ticketFinding
    self.policy = policy
  }

  deinit {
    unsafe SSL_CTX_free(context)
  }

  /// A new session's OpenSSL object, or nil where there is no memory left; it belongs to the
  /// caller.
  func makeSession() -> OpaquePointer? {
    unsafe SSL_new(context)
  }

  private static func install(
    _ credentials: [TLSCredentials], in context: OpaquePointer
  ) throws(TLSError) {
    for (index, one) in credentials.enumerated() {
      // A context has one place for each type, and the later pair would silently win.
      if let first = credentials[..<index].first(where: { $0.keyType == one.keyType }) {
        throw .sameKeyType(
          firstPath: first.keyPath, secondPath: one.keyPath, key: one.facts.key)
      }
      try unsafe one.install(in: context)
    }
  }
}

// MARK: - For the operator

extension TLSContext {
  /// Of the leaf of each pair.
  package var facts: [CertificateFacts] { credentials.map(\.facts) }

  /// All that has an end, and loses clients then.
  package var expiring: [Expiring] {
    credentials.flatMap(\.expiring) + (clients?.load().expiring ?? [])
  }

  /// What an operator should know though all of it can be served; judged at `now`, in seconds since
  /// 1970-01-01T00:00:00Z.
  package func findings(at now: Int64) -> [TLSFinding] {
    var findings = credentials.flatMap { $0.findings(at: now) }
    let weak = policy.minimumVersion == .tls13 ? [] : cipherNames { !$0.isInMozillasPolicy }
    if !weak.isEmpty { findings.append(.weakCiphers(names: weak)) }
    findings += clients?.load().findings(at: now) ?? []
    if let ticketFinding { findings.append(ticketFinding) }
    return findings
  }

  /// What is in force, a line each: versions, ciphers, groups, certificates, client verification.
  package func describe() -> [String] {
    let versions = TLSVersion.allCases.filter { $0 >= policy.minimumVersion }
    var lines = ["versions: " + versions.map { "TLS \($0.label)" }.joined(separator: ", ")]
    lines.append(
      "TLS 1.3 cipher suites: " + cipherNames { $0.isTLS13 }.joined(separator: ", "))
    if policy.minimumVersion == .tls12 {
      lines.append("TLS 1.2 ciphers: " + cipherNames { !$0.isTLS13 }.joined(separator: ", "))
    }
    lines.append("groups: " + groups.split(separator: ":").joined(separator: ", "))
    for one in credentials {
      lines.append(
        "certificate: \(one.facts.key), \(one.facts.subject), serial \(one.facts.serial), "
          + "valid until \(timeText(one.facts.notAfter))")
    }
    lines.append("client certificates: \(clients?.load().description ?? "not asked for")")
    return lines
  }

  /// The names of the ciphers in force that `isIncluded` holds of, by preference.
  private func cipherNames(where isIncluded: (Cipher) -> Bool) -> [String] {
    unsafe Cipher.all(in: context).filter(isIncluded).map(\.name)
  }
}

// MARK: - Setting up

/// Sets what holds under every policy.
///
/// No compression (CRIME), no renegotiation, no early data (a PUT must not be replayable), no
/// stateful cache. A missing close_notify counts as an end of stream: a request frames itself.
/// Record buffers stay until `TLSSession.releaseBuffers`; what is read is read ahead, so that one
/// `recv` fetches a record; a chain is sent as given and not built for each handshake. A read goes
/// on through records without data; how far is for `TLSWire` to say.
private func configure(_ context: OpaquePointer) throws(TLSError) {
  unsafe copenssl_set_behaviour(context)
  // One ticket serves a client that comes back; the second costs as much as the first.
  // A record buffer for sending fits what is sent: 4 KiB hold a chain or eight redirects.
  guard unsafe SSL_CTX_set_num_tickets(context, 1) == 1,
    unsafe SSL_CTX_set_max_early_data(context, 0) == 1,
    unsafe copenssl_set_send_bytes(context, 4096) == 1
  else { throw TLSContext.refusal() }
  unsafe SSL_CTX_set_alpn_select_cb(context, selectApplicationProtocol, nil)
  unsafe FirstRecord.watch(context)
  unsafe ClientHello.watch(context)
}

/// Sets what a ticket must have in common with a context that resumes its session.
private func identify(
  _ context: OpaquePointer, for clients: ClientTrust?
) throws(TLSError) {
  let identity = clients?.sessionIdentity ?? Array("vault-redirector".utf8)
  // Copied; 32 bytes are the most.
  guard unsafe SSL_CTX_set_session_id_context(context, identity, UInt32(identity.count)) == 1
  else { throw TLSContext.refusal() }
}

extension TLSContext {
  /// For what OpenSSL refuses only when there is no memory left.
  fileprivate static func refusal() -> TLSError {
    .library(reason: OpenSSLError.takeFirst()?.text ?? "refused a setting")
  }
}

/// Takes http/1.1 from a client's list, and refuses a list without it with no_application_protocol
/// (RFC 7301 §3.2).
private func selectApplicationProtocol(
  _ ssl: OpaquePointer?, _ selected: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
  _ selectedCount: UnsafeMutablePointer<UInt8>?, _ offered: UnsafePointer<UInt8>?, _ count: UInt32,
  _ argument: UnsafeMutableRawPointer?
) -> Int32 {
  // OpenSSL passes `count` readable bytes it has checked to be a list of counted names, and what is
  // selected may point into them.
  let list = unsafe UnsafeBufferPointer(start: offered, count: Int(count))
  var start = 0
  while start < list.count {
    let end = unsafe start + 1 + Int(list[start])
    guard end <= list.count else { break }
    let name = unsafe list[(start + 1)..<end]
    if unsafe name.elementsEqual("http/1.1".utf8) {
      unsafe selected?.pointee = offered.map { unsafe $0 + start + 1 }
      unsafe selectedCount?.pointee = UInt8(end - start - 1)
      return SSL_TLSEXT_ERR_OK
    }
    start = end
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL
}

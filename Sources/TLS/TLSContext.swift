import COpenSSL

/// Everything connections have in common: certificates, policy, resumption. Built whole, then never changed.
///
/// `@unchecked` is right because nothing is set on the `SSL_CTX` after `init`, and OpenSSL counts its references and
/// guards its own state where threads make sessions from it at the same time.
@safe
package final class TLSContext: @unchecked Sendable {
  // One reference of ours, given back in `deinit`; each session holds another.
  private let context: OpaquePointer

  /// - Parameter credentials: at least one, and at most one for each type of key.
  package init(credentials: [TLSCredentials], policy: TLSPolicy) throws(TLSError) {
    precondition(!credentials.isEmpty, "a server needs a certificate")
    precondition(OpenSSLLibrary.isReady, "OpenSSL could not be initialized")
    ERR_clear_error()
    guard let context = unsafe SSL_CTX_new(TLS_server_method()) else {
      throw .library(reason: OpenSSLError.takeFirst()?.text ?? "out of memory")
    }
    // From here on `deinit` frees the context, also where this throws.
    unsafe self.context = context
    try unsafe Self.configure(context)
    try unsafe Self.apply(policy, to: context)
    for one in credentials { try unsafe one.install(in: context) }
  }

  deinit {
    unsafe SSL_CTX_free(context)
  }

  /// A new session's OpenSSL object, or nil where there is no memory left; it belongs to the caller.
  func makeSession() -> OpaquePointer? {
    unsafe SSL_new(context)
  }

  /// What holds under every policy.
  ///
  /// No compression (CRIME), no renegotiation, no early data (a PUT must not be replayable), no stateful cache. A
  /// missing close_notify counts as an end of stream: a request frames itself. Buffers are released while a connection
  /// is idle; what is read is read ahead, so that one `recv` fetches a record; a chain is sent as given and not built
  /// for each handshake. Without auto-retry a read returns after a batch of records without data, so that a client
  /// which sends nothing but key updates cannot keep a worker.
  private static func configure(_ context: OpaquePointer) throws(TLSError) {
    unsafe copenssl_set_behaviour(context)
    unsafe SSL_CTX_set_security_level(context, 2)
    // One ticket serves a client that comes back; the second costs as much as the first.
    let identity: [UInt8] = Array("vault-redirector".utf8)
    // Both are copied; the array is valid for the call.
    guard unsafe SSL_CTX_set_num_tickets(context, 1) == 1,
      unsafe SSL_CTX_set_max_early_data(context, 0) == 1,
      unsafe SSL_CTX_set_session_id_context(context, identity, UInt32(identity.count)) == 1
    else {
      throw .library(reason: OpenSSLError.takeFirst()?.text ?? "refused a setting")
    }
    unsafe SSL_CTX_set_alpn_select_cb(context, selectApplicationProtocol, nil)
    unsafe FirstRecord.watch(context)
  }

  private static func apply(_ policy: TLSPolicy, to context: OpaquePointer) throws(TLSError) {
    let least = policy.minimumVersion.rawValue
    guard unsafe copenssl_set_protocol_versions(context, least, TLSVersion.tls13.rawValue) == 1
    else {
      throw .policy(option: "--tls-min", value: policy.minimumVersion.label)
    }
    if unsafe SSL_CTX_set_cipher_list(context, policy.ciphers) != 1 {
      ERR_clear_error()
      throw .policy(option: "--tls-ciphers", value: policy.ciphers)
    }
    if unsafe SSL_CTX_set_ciphersuites(context, policy.cipherSuites) != 1 {
      ERR_clear_error()
      throw .policy(option: "--tls-ciphersuites", value: policy.cipherSuites)
    }
    if let groups = policy.groups {
      if unsafe copenssl_set_groups(context, groups) == 1 { return }
      ERR_clear_error()
      throw .policy(option: "--tls-groups", value: groups)
    }
    // One unknown name refuses the whole list.
    let classic = TLSPolicy.classicGroups
    if unsafe copenssl_set_groups(context, "\(TLSPolicy.postQuantumGroup):\(classic)") == 1 {
      return
    }
    ERR_clear_error()
    if unsafe copenssl_set_groups(context, classic) == 1 { return }
    throw .library(reason: OpenSSLError.takeFirst()?.text ?? "refused the groups")
  }
}

/// Takes http/1.1 from a client's list, and refuses a list without it with no_application_protocol (RFC 7301 §3.2).
private func selectApplicationProtocol(
  _ ssl: OpaquePointer?, _ selected: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
  _ selectedCount: UnsafeMutablePointer<UInt8>?, _ offered: UnsafePointer<UInt8>?, _ count: UInt32,
  _ argument: UnsafeMutableRawPointer?
) -> Int32 {
  // OpenSSL passes `count` readable bytes it has checked to be a list of counted names, and what is selected may point
  // into them.
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

import COpenSSL

/// Which versions and algorithms are offered: Mozilla's guidelines 6.0, or an operator's own lists.
package struct TLSPolicy: Equatable, Sendable {
  /// The policies an operator can name.
  package enum Name: String, CaseIterable, Sendable {
    /// TLS 1.2 and 1.3.
    case intermediate
    /// TLS 1.3 alone.
    case modern
  }

  /// The oldest version on offer; the newest is always TLS 1.3.
  package var minimumVersion: TLSVersion
  /// TLS 1.2 ciphers in OpenSSL's notation, by preference.
  package var ciphers: String
  /// TLS 1.3 cipher suites, by preference.
  package var cipherSuites: String
  /// Key exchange groups, by preference; nil for Mozilla's, as far as this OpenSSL knows them.
  package var groups: String?

  /// A policy of Mozilla's: ephemeral ECDH and authenticated ciphers only.
  ///
  /// AES-128 goes first: it and its hash are the cheapest, and a client without AES in hardware,
  /// which prefers ChaCha20, still gets that.
  package init(_ name: Name) {
    minimumVersion = name == .modern ? .tls13 : .tls12
    ciphers = """
      ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
      ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:\
      ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305
      """
    cipherSuites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
  }

  /// TLS 1.2 and 1.3.
  package static let intermediate = TLSPolicy(.intermediate)
  /// TLS 1.3 alone.
  package static let modern = TLSPolicy(.modern)

  /// Mozilla's groups; the first is post-quantum and needs OpenSSL 3.5, the second is missing where only approved
  /// algorithms are (FIPS 140).
  private static let mozillasGroups = ["X25519MLKEM768", "X25519", "prime256v1", "secp384r1"]
  /// Below this nobody is served, whatever a cipher list says.
  private static let leastSecurityLevel: Int32 = 2

  /// Sets this policy, and nothing else, on `context`.
  ///
  /// - Returns: the groups in force.
  func install(in context: OpaquePointer) throws(TLSError) -> String {
    ERR_clear_error()
    defer { ERR_clear_error() }
    // All strings are copied.
    let (least, most) = (minimumVersion.rawValue, TLSVersion.tls13.rawValue)
    guard unsafe copenssl_set_protocol_versions(context, least, most) == 1 else {
      throw .policy(option: "--tls-min", value: minimumVersion.label)
    }
    // A stricter level of the system's (openssl.cnf) stays.
    if unsafe SSL_CTX_get_security_level(context) < Self.leastSecurityLevel {
      unsafe SSL_CTX_set_security_level(context, Self.leastSecurityLevel)
    }
    guard unsafe SSL_CTX_set_cipher_list(context, ciphers) == 1 else {
      throw .policy(option: "--tls-ciphers", value: ciphers)
    }
    // `@SECLEVEL=0` in the list would lower it again, and let in what authenticates nobody.
    guard unsafe SSL_CTX_get_security_level(context) >= Self.leastSecurityLevel,
      unsafe !Cipher.all(in: context).contains(where: \.isOpen)
    else { throw .weakPolicy(option: "--tls-ciphers", value: ciphers) }
    // OpenSSL takes an empty list, and then speaks no TLS 1.3 without saying so.
    guard !cipherSuites.isEmpty, unsafe SSL_CTX_set_ciphersuites(context, cipherSuites) == 1 else {
      throw .policy(option: "--tls-ciphersuites", value: cipherSuites)
    }
    if let groups {
      if unsafe copenssl_set_groups(context, groups) == 1 { return groups }
      throw .policy(option: "--tls-groups", value: groups)
    }
    // One unknown name refuses a whole list: so each is tried alone.
    let known = Self.mozillasGroups.filter { unsafe copenssl_set_groups(context, $0) == 1 }
    let list = known.joined(separator: ":")
    if !known.isEmpty, unsafe copenssl_set_groups(context, list) == 1 { return list }
    throw .policy(option: "--tls-groups", value: Self.mozillasGroups.joined(separator: ":"))
  }
}

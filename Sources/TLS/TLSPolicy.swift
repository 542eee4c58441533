/// Which versions and algorithms are offered: Mozilla's guidelines 6.0, or an operator's own lists.
package struct TLSPolicy: Equatable, Sendable {
  package var minimumVersion: TLSVersion
  /// TLS 1.2 cipher suites in OpenSSL's names, by preference.
  package var ciphers: String
  /// TLS 1.3 cipher suites, by preference.
  package var cipherSuites: String
  /// Key exchange groups, by preference; nil for Mozilla's, as far as this OpenSSL knows them.
  package var groups: String?

  /// TLS 1.2 and 1.3, ephemeral ECDH and authenticated ciphers only.
  ///
  /// AES-128 goes first: it and its hash are the cheapest, and a client without AES in hardware that prefers ChaCha20
  /// still gets it.
  package static let intermediate = TLSPolicy(
    minimumVersion: .tls12,
    ciphers: """
      ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
      ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:\
      ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305
      """,
    cipherSuites: "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256",
    groups: nil)

  /// TLS 1.3 alone.
  package static let modern: TLSPolicy = {
    var policy = intermediate
    policy.minimumVersion = .tls13
    return policy
  }()

  /// Mozilla's groups; the first is post-quantum and needs OpenSSL 3.5.
  static let postQuantumGroup = "X25519MLKEM768"
  static let classicGroups = "X25519:prime256v1:secp384r1"
}

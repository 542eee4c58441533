/// Whether clients are asked for a certificate, and what it must be.
package struct ClientVerification: Equatable, Sendable {
  /// What becomes of a client without a certificate; one that is sent must be right in any case.
  package enum Mode: String, CaseIterable, Sendable {
    /// It is served.
    case optional
    /// It is refused.
    case required
  }

  /// Whether a client may come without a certificate.
  package var mode: Mode
  /// PEM certificates; each is trusted in itself, a root or not, and its name is sent as a hint.
  package var authoritiesPath: String
  /// PEM revocation lists; nil for no such check. There must be one of each authority that signs
  /// clients.
  package var revocationListsPath: String?
  /// The most intermediate certificates between a client's and a trusted one.
  package var depth: Int

  /// - Parameters: as the properties of the same names.
  package init(
    mode: Mode, authoritiesPath: String, revocationListsPath: String? = nil, depth: Int = 4
  ) {
    self.mode = mode
    self.authoritiesPath = authoritiesPath
    self.revocationListsPath = revocationListsPath
    self.depth = depth
  }
}

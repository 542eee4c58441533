/// Something an operator should know about files that can be served nevertheless.
package enum TLSFinding: Equatable, Sendable {
  /// A certificate of the file stands in the wrong place: clients expect each one to be followed by
  /// its issuer.
  case chainOutOfOrder(path: String, subject: String)
  /// The issuer of a certificate is not in the file: clients that do not have it refuse the chain.
  case missingIssuer(path: String, subject: String, issuer: String)
  /// Times are in seconds since 1970-01-01T00:00:00Z.
  case expired(path: String, subject: String, notAfter: Int64)
  case notYetValid(path: String, subject: String, notBefore: Int64)
  /// No client has looked at the common name for years.
  case noSubjectAlternativeName(path: String)
  /// Everyone on the machine can read or change a secret; the mode is that of stat(2), the last
  /// nine bits.
  case secretOpenToAll(path: String, mode: UInt32)
  /// Cipher suites an operator's own list lets in, and Mozilla's policy does not.
  case weakCiphers(names: [String])
  /// A revocation list is past its next update: every client is refused until there is a newer one.
  case revocationListExpired(path: String, issuer: String, nextUpdate: Int64)
  /// The client CA that a revocation list names has not signed it: its clients are refused.
  case revocationListForged(path: String, issuer: String)
  /// A revocation list is too long to be verified in each handshake, and no client CA has signed it: its clients are refused.
  case revocationListUnverified(path: String, issuer: String)
  /// A revocation list is of the future: its clients are refused until then. The time is in seconds since 1970-01-01T00:00:00Z.
  case revocationListNotYetValid(path: String, issuer: String, lastUpdate: Int64)
  /// There are revocation lists, and none of this client CA, which has issued no other client CA: it may issue to clients, and those
  /// are refused.
  case revocationListMissing(path: String, issuer: String)

  /// It is of an end that has come, which a running server tells of by itself: see `ExpiryStage`.
  package var isOfExpiry: Bool {
    switch self {
    case .expired, .revocationListExpired: true
    default: false
    }
  }
}

extension TLSFinding: CustomStringConvertible {
  /// One line, beginning with the file or the option.
  package var description: String {
    switch self {
    case .chainOutOfOrder(let path, let subject):
      "\(path): the chain is out of order: the issuer of `\(subject)` does not follow it"
    case .missingIssuer(let path, let subject, let issuer):
      "\(path): the issuer of `\(subject)` is missing, `\(issuer)`: clients without it refuse"
    case .expired(let path, let subject, let notAfter):
      "\(path): `\(subject)` expired at \(timeText(notAfter))"
    case .notYetValid(let path, let subject, let notBefore):
      "\(path): `\(subject)` is not valid before \(timeText(notBefore))"
    case .noSubjectAlternativeName(let path):
      "\(path): the leaf has no subject alternative name: clients refuse it"
    case .secretOpenToAll(let path, let mode):
      "\(path): a secret everyone can reach (mode \(octal(mode))): chmod 0600"
    case .weakCiphers(let names):
      "--tls-ciphers: lets in \(names.joined(separator: ", ")): no forward secrecy by ECDH, or CBC"
    case .revocationListExpired(let path, let issuer, let nextUpdate):
      "\(path): the list of `\(issuer)` expired at \(timeText(nextUpdate)): its clients are refused"
    case .revocationListUnverified(let path, let issuer):
      "\(path): the list of `\(issuer)` is longer than \(RevocationList.unverifiedBytesMax) bytes and not signed by a client CA: "
        + "its clients are refused; where `\(issuer)` is an intermediate of a client CA, it belongs in --client-ca too"
    case .revocationListForged(let path, let issuer):
      "\(path): the list of `\(issuer)` is not signed by the client CA of that name: its clients are refused"
    case .revocationListNotYetValid(let path, let issuer, let lastUpdate):
      "\(path): the list of `\(issuer)` is not valid before \(timeText(lastUpdate)): its clients are refused"
    case .revocationListMissing(let path, let issuer):
      "\(path): there is no list of `\(issuer)`: the clients to whom it has issued certificates are refused"
    }
  }
}

private func octal(_ mode: UInt32) -> String {
  let digits = String(mode & 0o777, radix: 8)
  return String(repeating: "0", count: 4 - digits.count) + digits
}

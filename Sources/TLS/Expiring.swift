/// Something with an end, at which clients are lost: a certificate of ours or of a client CA, or a revocation list.
package enum Expiring: Hashable, Sendable {
  /// What a certificate is there for; the raw value is a metric's label.
  package enum Role: String, Sendable {
    /// The server's own.
    case leaf
    /// Sent with the leaf.
    case chain
    /// Trusted to sign clients.
    case clientAuthority = "client_ca"
  }

  case certificate(Role, path: String, CertificateFacts)
  /// `issuer` in RFC 2253 form; times in seconds since 1970-01-01T00:00:00Z.
  case revocationList(path: String, issuer: String, lastUpdate: Int64, nextUpdate: Int64)

  /// The first second, since 1970-01-01T00:00:00Z.
  package var start: Int64 {
    switch self {
    case .certificate(_, _, let facts): facts.notBefore
    case .revocationList(_, _, let lastUpdate, _): lastUpdate
    }
  }

  /// The last second, since 1970-01-01T00:00:00Z.
  package var end: Int64 {
    switch self {
    case .certificate(_, _, let facts): facts.notAfter
    case .revocationList(_, _, _, let nextUpdate): nextUpdate
    }
  }

  /// From start to end, in seconds.
  package var lifetimeSeconds: Int64 { max(0, end - start) }

  /// How near the end is at `now`, in seconds since 1970-01-01T00:00:00Z.
  package func stage(at now: Int64) -> ExpiryStage {
    let left = end - now
    if left < 0 { return .ended }
    if left <= lifetimeSeconds / 6 { return .lastSixth }
    return left <= lifetimeSeconds / 3 ? .lastThird : .farOff
  }

  /// What `--check-config` says of one that is over; nil for any other.
  func finding(at now: Int64) -> TLSFinding? {
    if stage(at: now) != .ended { return nil }
    return switch self {
    case .certificate(_, let path, let facts):
      .expired(path: path, subject: facts.subject, notAfter: facts.notAfter)
    case .revocationList(let path, let issuer, _, let nextUpdate):
      .revocationListExpired(path: path, issuer: issuer, nextUpdate: nextUpdate)
    }
  }
}

/// How near an end is, in the steps a warning is given at: parts of the lifetime, since certificates live for years or for hours.
package enum ExpiryStage: Int, Comparable, Sendable, CaseIterable {
  case farOff
  /// A third of the lifetime is left: who renews by himself has done so.
  case lastThird
  case lastSixth
  case ended

  /// The later stage is the greater one, so that a warning is due when the stage grows.
  package static func < (left: ExpiryStage, right: ExpiryStage) -> Bool {
    left.rawValue < right.rawValue
  }
}

import Glibc

/// What files looked like at one time: enough to notice a replaced, renamed or rewritten file, and
/// a swapped symbolic link on the way to it.
package struct CredentialFingerprint: Equatable, Sendable {
  private struct Stamp: Equatable {
    var device: UInt = 0
    var inode: UInt = 0
    var size = 0
    var modified: [Int] = []
    // A change of owner or mode can make a file readable, and a rewrite can keep its size and put
    // its time back.
    var changed: [Int] = []
    var errno: Int32 = 0
  }

  private let stamps: [Stamp]

  /// Looks at each of `paths`; one that cannot be seen is part of the picture.
  package init(of paths: [String]) {
    stamps = paths.map { path in
      var status = stat()
      // `stat` fills the structure where it answers 0.
      if unsafe stat(path, &status) != 0 { return Stamp(errno: errno) }
      return Stamp(
        device: UInt(status.st_dev), inode: UInt(status.st_ino), size: Int(status.st_size),
        modified: [status.st_mtim.tv_sec, status.st_mtim.tv_nsec],
        changed: [status.st_ctim.tv_sec, status.st_ctim.tv_nsec])
    }
  }
}

/// What became of one attempt to load the files again.
package enum TLSReloadResult: Equatable, Sendable {
  /// New connections have the new context; the facts are of each leaf.
  case replaced(old: [CertificateFacts], new: [CertificateFacts], findings: [TLSFinding])
  /// Something does not fit: everything stays as it was.
  case kept(TLSError)
}

/// Notices that files have changed and replaces the context once they fit together. Confined to one
/// thread, which is none of the workers'.
///
///     unchanged ──files differ──► changing ──same at the next look──► reloaded ──► unchanged
///                                  └──differ again──┘
///
/// What did not fit is not tried again until the files change. It keeps no time: the owner looks
/// when it hears of a change, again about a second after each `.changing`, and now and then in any
/// case.
package struct CredentialWatch {
  /// What one look at the files has found.
  package enum Look: Equatable, Sendable {
    /// The files are those of the last attempt.
    case unchanged
    /// The files have changed since the last look and may still be changing: look again.
    case changing
    case reloaded(TLSReloadResult)
  }

  private let configuration: TLSConfiguration
  private let store: TLSContextStore
  private let tickets: TicketKeyRing
  /// Of the last attempt to load, whatever came of it.
  private var attempted: CredentialFingerprint
  /// Of the last look, where it differed.
  private var pending: CredentialFingerprint?

  /// Loads `configuration` for the first time.
  ///
  /// - Throws: what does not fit; there is nothing to keep yet.
  package init(_ configuration: TLSConfiguration, tickets: TicketKeyRing) throws(TLSError) {
    self.configuration = configuration
    self.tickets = tickets
    // Taken before the files are read, so that a change in between is found later, not missed.
    attempted = CredentialFingerprint(of: configuration.paths)
    store = TLSContextStore(try configuration.load(tickets: tickets))
  }

  /// Where workers take their context from.
  package var contexts: TLSContextStore { store }

  /// Looks at the files, and loads them where they have changed and come to rest.
  package mutating func look() -> Look {
    let now = CredentialFingerprint(of: configuration.paths)
    if now == attempted {
      pending = nil
      return .unchanged
    }
    if now != pending {
      pending = now
      return .changing
    }
    return .reloaded(reload())
  }

  /// Loads the files now, changed or not: for SIGHUP.
  package mutating func reload() -> TLSReloadResult {
    attempted = CredentialFingerprint(of: configuration.paths)
    pending = nil
    do throws(TLSError) {
      let context = try configuration.load(tickets: tickets)
      let old = store.load().facts
      store.publish(context)
      let findings = context.findings(at: secondsSinceEpoch())
      return .replaced(old: old, new: context.facts, findings: findings)
    } catch {
      return .kept(error)
    }
  }
}

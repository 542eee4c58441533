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
package struct TLSReloadResult: Equatable, Sendable {
  /// The leaves of one pair, before and now.
  package struct Replacement: Equatable, Sendable {
    /// What was served before.
    package let old: CertificateFacts
    /// What is served now; it may be the same.
    package let new: CertificateFacts
  }

  /// Of each pair that was read anew.
  package internal(set) var replaced: [Replacement] = []
  /// What could not be taken: for each, the file's old content stays.
  package internal(set) var errors: [TLSError] = []
  /// What to tell of what is in force now.
  package internal(set) var findings: [TLSFinding] = []
  /// Tickets are encrypted with another key than before.
  package internal(set) var hasNewTicketKey = false
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
  private let clients: ClientTrustStore?
  /// What is in force.
  private var files: CredentialFiles
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
    var errors: [TLSError] = []
    files = try CredentialFiles(configuration, keeping: nil, &errors)
    let trust = try files.trust(configuration)
    clients = trust.map { ClientTrustStore($0) }
    store = TLSContextStore(
      try files.context(configuration, clients: clients, trust: trust, tickets: tickets))
    useTicketKeys()
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
    // However fast reloads follow each other, at most two lists are here beside the one that is read.
    releaseRetired()
    var result = TLSReloadResult()
    do throws(TLSError) {
      var next = try CredentialFiles(configuration, keeping: files, &result.errors)
      if next.readCount > 0 { try replace(with: &next, &result) }
    } catch {
      result.errors.append(error)
    }
    result.findings = store.load().findings(at: secondsSinceEpoch())
    return result
  }

  /// Clients are judged by the new files first: there is no moment at which one who is revoked begins anew.
  private mutating func replace(
    with next: inout CredentialFiles, _ result: inout TLSReloadResult
  ) throws(TLSError) {
    let trust = try next.trust(configuration)
    let context = try makeContext(&next, trust, &result)
    if let trust { clients?.publish(trust) }
    store.publish(context)
    for (old, new) in zip(files.credentials, next.credentials) where old !== new {
      result.replaced.append(.init(old: old.facts, new: new.facts))
    }
    files = next
    result.hasNewTicketKey = useTicketKeys()
  }

  /// Certificates that only together do not fit stay as they were, all of them.
  private func makeContext(
    _ next: inout CredentialFiles, _ trust: ClientTrust?, _ result: inout TLSReloadResult
  ) throws(TLSError) -> TLSContext {
    do {
      return try next.context(configuration, clients: clients, trust: trust, tickets: tickets)
    } catch {
      result.errors.append(error)
      next.credentials = files.credentials
      return try next.context(configuration, clients: clients, trust: trust, tickets: tickets)
    }
  }

  /// Whether another key encrypts now.
  @discardableResult
  private func useTicketKeys() -> Bool {
    files.ticketKeys.map { tickets.replace(with: $0) } ?? false
  }

  /// When the ticket key file was last written, in seconds since 1970-01-01T00:00:00Z; nil for keys of our own.
  package var ticketKeysModified: Int64? { files.ticketKeys?.modified }

  /// Frees what was replaced, as soon as nobody uses it: to be called now and then.
  package func releaseRetired() {
    clients?.releaseRetired()
  }
}

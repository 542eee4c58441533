import Redirect
import Sys
import TLS
import Telemetry

/// Keeps what TLS serves up to date: files that were replaced, ticket keys that are old enough, and a warning before
/// something ends. Confined to the main thread; workers take what it publishes.
///
/// It looks when the kernel tells of a change in a directory, again a moment later until the files are at rest, and
/// every ten seconds in any case: a watch can miss a file system that tells nobody.
final class CredentialRotation {
  private static let settleTime: Duration = .milliseconds(400)
  private static let slowPoll: Duration = .seconds(10)
  private static let expiryCheck: Duration = .seconds(60)
  /// A file of ticket keys is to be replaced as often as a ticket lives, a day; by then twice that has passed.
  private static let ticketKeyAgeSecondsMax: Int64 = 48 * 3600

  private let configuration: TLSConfiguration
  private let isWatching: Bool
  private let tickets: TicketKeyRing
  private let log: Log
  private let counts: CredentialCounts
  private let directoryWatch: DirectoryWatch?
  private var watch: CredentialWatch
  private var nextLook: MonotonicTime
  /// The last look found files that may still be changing.
  private var isSettling = false
  private var nextTicketRotation: MonotonicTime
  private var nextExpiryCheck: MonotonicTime
  private var warnedStages: [Expiring: ExpiryStage] = [:]
  /// The ticket keys that were told of as old, by when they were written.
  private var warnedTicketKeys: Int64?

  /// Loads everything for the first time.
  ///
  /// - Throws: what does not fit, by option and file.
  init(
    _ configuration: TLSConfiguration, watchesFiles: Bool, log: Log, metrics: MetricsRegistry
  ) throws(StartupError) {
    self.configuration = configuration
    self.log = log
    isWatching = watchesFiles
    do {
      tickets = try TicketKeyRing()
      watch = try CredentialWatch(configuration, tickets: tickets)
    } catch {
      throw StartupError(tls: error, in: configuration)
    }
    let now = MonotonicTime.now()
    nextLook = now + Self.slowPoll
    nextTicketRotation = now + TicketKeyRing.rotationInterval
    nextExpiryCheck = now
    // Without inotify the slow poll still finds what changed.
    directoryWatch = watchesFiles ? try? DirectoryWatch() : nil
    counts = CredentialCounts(
      watch.contexts.load().expiring, ticketKeysModified: watch.ticketKeysModified)
    let counts = self.counts
    metrics.register { counts.families() }
    watchDirectories()
  }

  /// Where the workers take their context from.
  var contexts: TLSContextStore { watch.contexts }

  /// What to wait for together with the signals; nil where nothing is watched.
  var number: Int32? { directoryWatch?.number }

  /// What an operator should know of the files as they are.
  var findings: [TLSFinding] {
    contexts.load().findings(at: MonotonicTime.secondsSinceEpoch())
  }

  /// Something changed in a directory. While files settle the look that is due will see it: one at once would take
  /// two events of one replacement for two looks at files at rest.
  func directoryChanged() {
    directoryWatch?.clear()
    if !isSettling { nextLook = .now() }
  }

  /// When `turn` has something to do again.
  var nextTurn: MonotonicTime {
    min(isWatching ? nextLook : nextExpiryCheck, min(nextTicketRotation, nextExpiryCheck))
  }

  /// Does what is due.
  func turn() {
    let now = MonotonicTime.now()
    if isWatching, now >= nextLook { look(now) }
    if now >= nextTicketRotation { rotateTicketKeys(now) }
    if now >= nextExpiryCheck {
      nextExpiryCheck = now + Self.expiryCheck
      warnOfExpiry()
      warnOfTicketKeys()
    }
    watch.releaseRetired()
  }

  /// SIGHUP: reads the files now, changed or not.
  func reload() {
    report(watch.reload())
  }

  private func look(_ now: MonotonicTime) {
    let found = watch.look()
    isSettling = found == .changing
    nextLook = now + (isSettling ? Self.settleTime : Self.slowPoll)
    if case .reloaded(let result) = found { report(result) }
  }

  private func report(_ result: TLSReloadResult) {
    watchDirectories()
    counts.reloaded(
      watch.contexts.load().expiring, ticketKeysModified: watch.ticketKeysModified,
      failed: !result.errors.isEmpty)
    if result.hasNewTicketKey { counts.rotatedTicketKeys() }
    for error in result.errors {
      log.error(
        "certificates not reloaded: the old ones of this file stay",
        metadata: ["reason": "\(error)"])
    }
    for replaced in result.replaced {
      let (old, new) = (replaced.old, replaced.new)
      log.warning(
        "certificate reloaded",
        metadata: [
          "subject": "\(new.subject)", "serial": "\(new.serial)",
          "expires": "\(timestamp(secondsSinceEpoch: Int(new.notAfter)))",
          "old_serial": "\(old.serial)",
          "old_expires": "\(timestamp(secondsSinceEpoch: Int(old.notAfter)))",
        ])
    }
    for finding in result.findings where !finding.isOfExpiry { log.warning("\(finding)") }
    warnOfExpiry()
    warnOfTicketKeys()
  }

  private func rotateTicketKeys(_ now: MonotonicTime) {
    nextTicketRotation = now + TicketKeyRing.rotationInterval
    do {
      if try tickets.rotate() { counts.rotatedTicketKeys() }
    } catch {
      log.error("ticket keys not rotated", metadata: ["reason": "\(error)"])
    }
  }

  /// One line when a third and when a sixth of a lifetime is left, and when it is over.
  private func warnOfExpiry() {
    let now = MonotonicTime.secondsSinceEpoch()
    let expiring = Set(contexts.load().expiring)
    warnedStages = warnedStages.filter { expiring.contains($0.key) }
    for one in expiring {
      let stage = one.stage(at: now)
      guard stage > warnedStages[one] ?? .farOff else { continue }
      warnedStages[one] = stage
      log.warning(one, stage)
    }
  }

  /// One line where a fleet's ticket keys are not replaced: who has one of them reads what was resumed with it.
  private func warnOfTicketKeys() {
    guard let modified = watch.ticketKeysModified, modified != warnedTicketKeys,
      MonotonicTime.secondsSinceEpoch() - modified > Self.ticketKeyAgeSecondsMax
    else { return }
    warnedTicketKeys = modified
    log.warning(
      "ticket keys are not rotated: replace the file each day",
      metadata: [
        "file": "\(configuration.ticketKeyPath ?? "")",
        "written": "\(timestamp(secondsSinceEpoch: Int(modified)))",
      ])
  }

  /// After each look: a symbolic link may lead elsewhere now.
  private func watchDirectories() {
    guard let directoryWatch else { return }
    for directory in Set(configuration.paths.flatMap(directories))
    where !directoryWatch.add(directory) {
      log.debug("a directory cannot be watched", metadata: ["directory": "\(directory)"])
    }
  }
}

extension Log {
  /// Says that something ends soon, or has ended.
  fileprivate func warning(_ one: Expiring, _ stage: ExpiryStage) {
    let isOver = stage == .ended
    let end = "\(timestamp(secondsSinceEpoch: Int(one.end)))"
    switch one {
    case .certificate(let role, let path, let facts):
      warning(
        isOver ? "certificate has expired" : "certificate expires soon",
        metadata: [
          "role": "\(role.rawValue)", "subject": "\(facts.subject)", "serial": "\(facts.serial)",
          "expires": "\(end)", "file": "\(path)",
        ])
    case .revocationList(let path, let issuer, _, _):
      warning(
        isOver
          ? "revocation list has expired: the clients of its issuer are refused"
          : "revocation list expires soon",
        metadata: ["issuer": "\(issuer)", "expires": "\(end)", "file": "\(path)"])
    }
  }
}

import Redirect
import Sys
import TLS
import Telemetry

/// Keeps what TLS serves up to date: certificates that were replaced, ticket keys that are old enough, and a warning before
/// a certificate ends. Confined to the main thread; workers take what it publishes.
///
/// It looks when the kernel tells of a change in a directory, again a moment later until the files are at rest, and
/// every ten seconds in any case: a watch can miss a file system that tells nobody.
final class CredentialRotation {
  private static let settleTime: Duration = .milliseconds(400)
  private static let slowPoll: Duration = .seconds(10)
  private static let expiryCheck: Duration = .seconds(3600)

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
  private var warnedStages: [String: ExpiryStage] = [:]

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
    counts = CredentialCounts(watch.contexts.load().facts)
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
    }
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
    switch result {
    case .kept(let error):
      counts.failed()
      log.error("certificates not reloaded: the old ones stay", metadata: ["reason": "\(error)"])
    case .replaced(let old, let new, let findings):
      counts.replaced(new)
      for (index, facts) in new.enumerated() {
        log.warning(
          "certificate reloaded",
          metadata: [
            "subject": "\(facts.subject)", "serial": "\(facts.serial)",
            "expires": "\(timestamp(secondsSinceEpoch: Int(facts.notAfter)))",
            "old_serial": "\(index < old.count ? old[index].serial : "none")",
            "old_expires":
              "\(index < old.count ? timestamp(secondsSinceEpoch: Int(old[index].notAfter)) : "none")",
          ])
      }
      for finding in findings { log.warning("\(finding)") }
      warnOfExpiry()
    }
  }

  private func rotateTicketKeys(_ now: MonotonicTime) {
    nextTicketRotation = now + TicketKeyRing.rotationInterval
    do {
      try tickets.rotate()
      counts.rotatedTicketKeys()
    } catch {
      log.error("ticket keys not rotated", metadata: ["reason": "\(error)"])
    }
  }

  /// One line when a certificate comes within 30 days, 7 days and a day of its end, and when it is past it.
  private func warnOfExpiry() {
    let now = MonotonicTime.secondsSinceEpoch()
    for facts in contexts.load().facts {
      let stage = facts.expiryStage(at: now)
      guard stage > warnedStages[facts.serial] ?? .farOff else { continue }
      warnedStages[facts.serial] = stage
      log.warning(
        stage == .expired ? "certificate has expired" : "certificate expires soon",
        metadata: [
          "subject": "\(facts.subject)", "serial": "\(facts.serial)",
          "expires": "\(timestamp(secondsSinceEpoch: Int(facts.notAfter)))",
        ])
    }
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

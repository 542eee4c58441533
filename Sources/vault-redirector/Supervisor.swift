import Discovery
import Frontend
import Glibc
import HTTP1
import Redirect
import Sys
import TLS
import Telemetry

/// Owns everything that runs: starts it in order, hands it signals, and ends it in order.
///
/// ```
/// main thread     Supervisor: signals, drain
/// discovery       DiscoveryThread ── publishes ──► ActiveNodeCell ── wakes ──► workers
/// worker-0…n      Worker: connections, RedirectResponder ── loads from ──► ActiveNodeCell
/// log             LogWriter
/// ```
final class Supervisor {
  private let configuration: Configuration
  private let signals: SignalReader
  private let logWriter: LogWriter
  private let log: Log
  private let cell: ActiveNodeCell
  private let discovery: DiscoveryThread
  private let pool: WorkerPool
  /// Nil where the public listeners speak plain HTTP.
  private let rotation: CredentialRotation?

  /// Prepares everything, and binds the listeners; nothing runs yet but the log.
  ///
  /// - Throws: one line that names the option or the file, with its exit code.
  init(_ configuration: Configuration) throws(StartupError) {
    self.configuration = configuration
    MemoryLimit.spareAddresses()
    // Before the first thread, which inherits what is blocked.
    signals = try Self.orSystemError("signals") { () throws(SystemError) in
      try SignalReader([SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2])
    }
    let style = LogWriter.styleOfStandardError(journalStream: configuration.journalStream)
    logWriter = try Self.orSystemError("log") { () throws(SystemError) in
      try LogWriter(descriptor: STDERR_FILENO, style: style)
    }
    log = Log.logfmt(logWriter, level: configuration.logLevel)
    cell = ActiveNodeCell(
      status: DiscoveryStatus(source: configuration.consulHostPort == nil ? .probe : .consul),
      time: .system)
    let metrics = MetricsRegistry()
    BuildMetrics.register(in: metrics)
    rotation = try configuration.tls.map { [log] (tls) throws(StartupError) in
      try CredentialRotation(
        tls, watchesFiles: configuration.watchesCredentials, log: log, metrics: metrics)
    }
    let listeners = try ListenerFactory(
      configuration, cell: cell, tls: rotation?.contexts, metrics: metrics, log: log
    ).listeners()
    var wanted = configuration.discovery
    wanted.targets.listeners = listeners.map(\.socket.address)
    discovery = DiscoveryThread(wanted, cell: cell, log: log)
    discovery.register(in: metrics)
    let frontend = FrontendConfiguration(
      listeners: listeners, workers: configuration.workers, limits: configuration.limits,
      accessLog: configuration.accessLog, server: "vault-redirector/\(Version.number)", log: log,
      logWriter: logWriter)
    let pool = try Self.orSystemError("workers") { () throws(SystemError) in
      try WorkerPool(frontend)
    }
    self.pool = pool
    metrics.register { [pool] in pool.metrics() }
    cell.observe { [pool] in pool.wake() }
  }

  /// Serves until a signal ends it.
  ///
  /// - Throws: what the operating system refuses while the threads start.
  func run() throws(StartupError) -> ExitCode {
    try Self.orSystemError("log") { () throws(SystemError) in try logWriter.start() }
    reportLimit()
    for finding in rotation?.findings ?? [] where !finding.isOfExpiry { log.warning("\(finding)") }
    try Self.orSystemError("threads") { () throws(SystemError) in
      try discovery.start()
      try pool.start()
    }
    disableLogIfAsked()
    try Self.orSystemError("signals") { () throws(SystemError) in
      let loop = SignalLoop(
        pool: pool, discovery: discovery, rotation: rotation, log: log, logWriter: logWriter,
        drainTimeout: configuration.limits.drainTimeout)
      try loop.run(signals)
    }
    pool.join()
    discovery.stop()
    defer { logWriter.stop(within: .milliseconds(250)) }
    if let failure = pool.startFailure {
      throw StartupError(exitCode: .osError, message: "workers: \(failure)")
    }
    log.info("stopped")
    return .success
  }

  private func reportLimit() {
    log.info(
      "connections are limited",
      metadata: [
        "connections": "\(configuration.limits.connectionsMax)",
        "from": "\(configuration.connections.source)",
        "bytes_each": "\(configuration.limits.connectionBytesMax)",
      ])
    for finding in configuration.findings { log.warning("\(finding)") }
  }

  private func disableLogIfAsked() {
    guard configuration.isLogDisabled else { return }
    log.warning(
      "logging is disabled; SIGUSR1 enables it", metadata: ["pid": "\(getpid())"])
    logWriter.isEnabled = false
  }

  private static func orSystemError<Result>(
    _ what: String, _ body: () throws(SystemError) -> Result
  ) throws(StartupError) -> Result {
    do {
      return try body()
    } catch {
      throw StartupError(exitCode: .osError, message: "\(what): \(error)")
    }
  }
}

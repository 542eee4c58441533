import Frontend
import Sys

/// Turns the options for limits and deadlines into limits, each within bounds that make sense.
struct LimitsReader {
  /// Descriptors kept for standard streams, signals, watches, files that are read again, and what the C library opens.
  private static let descriptorsReserved = 16

  /// Of discovery, of the log, and one that looks a name up.
  private static let threadsBeside = 3

  private let options: LimitOptions
  private let holding: DiscoveryOptions
  private let listeners: Int
  private let hasAdmin: Bool

  init(_ options: Options) {
    self.options = options.limits
    holding = options.discovery
    hasAdmin = options.listening.admin != nil
    listeners = max(1, options.listening.bind.count) + (hasAdmin ? 1 : 0)
  }

  /// - Parameters:
  ///   - workers: the number of threads with an event loop.
  ///   - discovery: the most descriptors that finding the active node takes.
  /// - Throws: wrong use, naming the option.
  func read(
    workers: Int, discovery: Int
  ) throws(StartupError) -> (limits: FrontendLimits, connections: ConnectionLimit) {
    var limits = FrontendLimits()
    limits.message.requestLineBytesMax = try number(
      "--max-request-line", options.maxRequestLine, 64...65_536)
    limits.message.headBytesMax = try number("--max-head", options.maxHead, 128...262_144)
    limits.message.fieldsMax = try number("--max-fields", options.maxFields, 1...10_000)
    limits.discardBytesMax = options.maxBody
    limits.connectionsPerAddressMax = try number(
      "--max-connections-per-ip", options.maxConnectionsPerIp, 0...10_000_000)
    limits.requestsPerConnectionMax = try number(
      "--max-requests-per-connection", options.maxRequestsPerConnection, 0...Int.max)
    limits.discardTimeout = try seconds("--body-timeout", options.bodyTimeout)
    limits.headTimeout = try seconds("--head-timeout", options.headTimeout)
    limits.handshakeTimeout = try seconds("--handshake-timeout", options.handshakeTimeout)
    limits.proxyHeaderTimeout = try seconds("--proxy-header-timeout", options.proxyHeaderTimeout)
    limits.keepAliveTimeout = try seconds("--keep-alive-timeout", options.keepAliveTimeout)
    limits.writeTimeout = try seconds("--write-timeout", options.writeTimeout)
    limits.lingerTimeout = try seconds("--linger-timeout", options.lingerTimeout)
    limits.drainTimeout = try seconds("--shutdown-timeout", options.shutdownTimeout)
    limits.holdTimeout = try seconds("--hold", holding.hold, mayBeZero: true)
    limits.heldMax = try number("--hold-max", holding.holdMax, 1...1_000_000)
    if let backlog = options.backlog {
      limits.backlog = Int32(clamping: try number("--backlog", backlog, 1...Int(Int32.max)))
    }
    if !hasAdmin { limits.reservedConnections = 0 }
    // A worker has a poller and a wakeup of its own.
    let descriptors = try descriptorsLeft(
      for: "\(workers) workers, \(listeners) listeners and discovery",
      needed: Self.descriptorsReserved + discovery + listeners + 2 * workers
        + limits.reservedConnections)
    let connections = ConnectionLimit(
      descriptors: descriptors, memory: .current(threads: workers + Self.threadsBeside),
      bytesEach: limits.connectionBytesMax, asked: options.maxConnections)
    limits.connectionsMax = connections.connections
    return (limits, connections)
  }

  /// How many descriptors are left for connections, of which `--max-connections` may ask for all.
  private func descriptorsLeft(for what: String, needed: Int) throws(StartupError) -> Int {
    let allowed = DescriptorLimit.raise()
    let possible = allowed - needed
    guard possible >= 1 else {
      throw StartupError(
        exitCode: .osError,
        message: "RLIMIT_NOFILE: \(allowed) descriptors are too few for \(what); "
          + "raise it to \(needed + 1) at least (LimitNOFILE= in a unit)")
    }
    if let asked = options.maxConnections, !(1...possible).contains(asked) {
      throw .usage(
        "--max-connections",
        "\(asked) is not a number from 1 to \(possible), which RLIMIT_NOFILE allows")
    }
    return possible
  }

  private func number(
    _ option: String, _ value: Int, _ range: ClosedRange<Int>
  ) throws(StartupError) -> Int {
    guard range.contains(value) else {
      throw .usage(
        option, "\(value) is not a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  private func seconds(
    _ option: String, _ value: Double, mayBeZero: Bool = false
  ) throws(StartupError) -> Timeout {
    Timeout(try Duration(option: option, seconds: value, mayBeZero: mayBeZero))
  }
}

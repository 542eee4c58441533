import Discovery
import Frontend
import ProxyProtocol
import Redirect
import Sys
import TLS
import Telemetry

/// What the options mean, checked: nothing in here can turn out to be wrong later, but for the operating system's word.
struct Configuration {
  let listenAddresses: [SocketAddress]
  /// The default: one socket for both families.
  let isDualStack: Bool
  /// Nil where the public listeners speak plain HTTP.
  let tls: TLSConfiguration?
  /// Replaced certificate files are loaded without being told.
  let watchesCredentials: Bool
  let proxyProtocol: ProxyPolicy
  let adminAddress: SocketAddress?
  let discovery: DiscoveryConfiguration
  /// How long health stays good while no node is active.
  let healthGrace: Duration
  /// How long health stays good while nobody answers; zero: as long as the last node is served.
  let healthStale: Duration
  /// As given, for health; nil where no Consul is asked.
  let consulHostPort: String?
  let workers: Int
  let limits: FrontendLimits
  /// What `limits` allows, and why.
  let connections: ConnectionLimit
  let accessLog: AccessLogMode
  let logLevel: Log.Level
  let isLogDisabled: Bool
  let journalStream: String?

  /// - Throws: one line that names the option or the file, and the exit code that tells usage from files.
  init(_ options: Options, environment: [String: String]) throws(StartupError) {
    let listening = options.listening
    (listenAddresses, isDualStack) = try Self.listenAddresses(
      listening.bind, port: options.seed.port)
    tls = try TLSOptionsReader(options).read()
    watchesCredentials = try Self.isOn("--cert-watch", options.tls.certWatch)
    proxyProtocol = try Self.proxyPolicy(listening)
    adminAddress = try Self.adminAddress(listening)
    let source = try DiscoveryOptionsReader(options, environment: environment).read()
    discovery = source.configuration
    healthGrace = try Duration(
      option: "--health-grace", seconds: options.discovery.healthGrace, mayBeZero: true)
    healthStale = try Duration(
      option: "--health-stale", seconds: options.discovery.healthStale, mayBeZero: true)
    consulHostPort = source.consulHostPort
    if tls != nil, !source.isHTTPS, !listening.allowDowngrade {
      throw StartupError(
        exitCode: .configuration,
        message: "--cert-path: a TLS listener that redirects to http would send tokens in clear; "
          + "add --https (or https:// in --vault-addr), or --allow-downgrade to do it all the same")
    }
    workers = try Self.workers(listening.workers)
    (limits, connections) = try LimitsReader(options).read(
      workers: workers, discovery: discovery.descriptorsMax)
    accessLog = try Self.accessLog(listening)
    logLevel = [.warning, .info, .debug][min(options.seed.verbose, 2)]
    isLogDisabled = options.seed.logDisable
    journalStream = environment["JOURNAL_STREAM"]
  }

  /// What an operator should know of the limits as they are.
  var findings: [String] {
    guard connections.exceedsMemory, let fitting = connections.byMemory else { return [] }
    return [
      "--max-connections: \(connections.connections) connections, each at its worst, take more than half of the memory; "
        + "\(fitting) fit, at \(limits.connectionBytesMax) bytes each"
    ]
  }

  private static func listenAddresses(
    _ texts: [String], port: UInt16
  ) throws(StartupError) -> ([SocketAddress], isDualStack: Bool) {
    if texts.isEmpty {
      return ([SocketAddress(ipv6High: 0, low: 0, port: port)], true)
    }
    var addresses: [SocketAddress] = []
    for text in texts {
      guard let address = SocketAddress(numeric: text, port: port) else {
        throw .usage("--bind", "`\(text)` is not an IPv4 or IPv6 address")
      }
      addresses.append(address)
    }
    return (addresses, false)
  }

  private static func isOn(_ option: String, _ text: String) throws(StartupError) -> Bool {
    switch text {
    case "on": return true
    case "off": return false
    default: throw .usage(option, "`\(text)` is neither on nor off")
    }
  }

  private static func proxyPolicy(_ options: ListeningOptions) throws(StartupError) -> ProxyPolicy {
    guard let mode = ProxyProtocolMode(rawValue: options.proxyProtocol) else {
      throw .usage("--proxy-protocol", "`\(options.proxyProtocol)` is not off, v1, v2 or any")
    }
    guard let text = options.proxyProtocolFrom else {
      if mode == .off { return .off }
      throw .usage(
        "--proxy-protocol-from", "--proxy-protocol needs it: name the load balancers' addresses")
    }
    if mode == .off { throw .usage("--proxy-protocol-from", "needs --proxy-protocol as well") }
    var sources: [AddressBlock] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      guard let block = AddressBlock(part) else {
        throw .usage("--proxy-protocol-from", "`\(part)` is not an address or a CIDR block")
      }
      sources.append(block)
    }
    return ProxyPolicy(mode: mode, sources: sources)
  }

  private static func adminAddress(
    _ options: ListeningOptions
  ) throws(StartupError) -> SocketAddress? {
    guard let text = options.admin else { return nil }
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]),
      let address = SocketAddress(numeric: text[..<colon], port: port)
    else { throw .usage("--admin", "`\(text)` is not an address and a port, as in 127.0.0.1:9090") }
    guard address.isLoopback || options.adminAllowRemote else {
      throw .usage(
        "--admin", "\(address.host) is not a loopback address; --admin-allow-remote permits it")
    }
    return address
  }

  private static func workers(_ number: Int?) throws(StartupError) -> Int {
    guard let number else { return usableProcessors() }
    guard (1...256).contains(number) else {
      throw .usage("--workers", "\(number) is not a number from 1 to 256")
    }
    return number
  }

  private static func accessLog(_ options: ListeningOptions) throws(StartupError) -> AccessLogMode {
    switch (options.accessLog, options.logPath) {
    case ("off", "off"), ("off", "path"): return .off
    case ("on", "off"): return .withoutPath
    case ("on", "path"): return .withPath
    case ("on", let other), ("off", let other):
      throw .usage("--log-path", "`\(other)` is neither off nor path")
    case (let other, _): throw .usage("--access-log", "`\(other)` is neither off nor on")
    }
  }
}

import Discovery
import Redirect

/// Turns the options that say who knows the active node into discovery's configuration.
struct DiscoveryOptionsReader {
  /// What came of it.
  struct Source {
    let configuration: DiscoveryConfiguration
    /// As given; nil where no Consul is asked.
    let consulHostPort: String?
    /// Clients are sent to https, all of them.
    let isHTTPS: Bool
  }

  private let seed: SeedOptions
  private let options: DiscoveryOptions
  private let environment: Environment

  init(_ options: Options, environment: [String: String]) {
    seed = options.seed
    self.options = options.discovery
    self.environment = Environment(environment)
  }

  /// - Throws: wrong use, or a file that cannot be read or does not fit, each naming the option or the variable.
  func read() throws(StartupError) -> Source {
    do {
      return try options.vaultAddr.isEmpty ? readConsul() : readVault()
    } catch let error as DiscoveryError {
      throw StartupError(exitCode: error.exitCode, message: error.message)
    } catch let error as StartupError {
      throw error
    } catch {
      preconditionFailure("only the two errors above are thrown: \(error)")
    }
  }

  private func readConsul() throws -> Source {
    guard let address = seed.consulHostPort ?? environment["CONSUL_HTTP_ADDR"] else {
      throw StartupError.usage(
        "CONSUL_HOST_PORT", "missing; name Consul's address, or nodes with --vault-addr")
    }
    let scheme: RedirectTarget.Scheme = seed.https ? .https : .http
    let rules = SelectionRules(
      mode: seed.checkid.map { .check(id: $0) } ?? .tag, activeTag: options.activeTag,
      target: try targetRule(), scheme: scheme)
    let source = try ConsulSource(
      access: ConsulAccess(address: seed.consulHostPort, environment: environment),
      service: options.service, rules: rules, pollInterval: try pollInterval())
    return Source(
      configuration: DiscoveryConfiguration(source: .consul(source), version: Version.number),
      consulHostPort: address, isHTTPS: scheme == .https)
  }

  private func readVault() throws -> Source {
    guard seed.consulHostPort == nil else {
      throw StartupError.usage(
        "--vault-addr", "asks no Consul: leave CONSUL_HOST_PORT out, or --vault-addr")
    }
    let addresses = try options.vaultAddr.map { try VaultAddress($0) }
    let source = try ProbeSource(
      addresses: addresses,
      security: .vault(environment: environment, authorityFile: options.vaultCacert))
    return Source(
      configuration: DiscoveryConfiguration(source: .vault(source), version: Version.number),
      consulHostPort: nil, isHTTPS: addresses.allSatisfy { $0.target.scheme == .https })
  }

  private func targetRule() throws(StartupError) -> TargetRule {
    switch options.target {
    case nil: return seed.ip ? .ip : .node
    case _? where seed.ip: throw .usage("--target", "says the same as --ip or contradicts it")
    case "node": return .node
    case "ip": return .ip
    case "service": return .service
    case let other?: throw .usage("--target", "`\(other)` is not node, ip or service")
    }
  }

  private func pollInterval() throws(StartupError) -> Duration {
    guard seed.pollInterval >= 0.05, seed.pollInterval <= 86_400 else {
      throw .usage(
        "--poll-interval", "\(seed.pollInterval) is not a number of seconds from 0.05 to 86400")
    }
    return .milliseconds(Int64(seed.pollInterval * 1000))
  }
}

extension DiscoveryError {
  fileprivate var exitCode: ExitCode {
    switch self {
    case .invalid: .usage
    case .unreadable: .noInput
    case .unfit: .configuration
    }
  }
}

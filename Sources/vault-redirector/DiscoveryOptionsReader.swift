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
    let rules = SelectionRules(
      mode: try selectionMode(), activeTag: options.activeTag,
      requiredTags: options.requireTag, target: try targetRule(),
      scheme: seed.https ? .https : .http)
    let source = try ConsulSource(
      access: ConsulAccess(
        address: seed.consulHostPort, datacenter: options.datacenter, namespace: options.namespace,
        partition: options.partition, environment: environment),
      service: options.service, rules: rules,
      pollInterval: try seconds("--poll-interval", seed.pollInterval),
      verification: try verification())
    return Source(
      configuration: try configuration(.consul(source)), consulHostPort: address,
      isHTTPS: rules.sendsToHTTPS)
  }

  private func readVault() throws -> Source {
    guard seed.consulHostPort == nil else {
      throw StartupError.usage(
        "--vault-addr", "asks no Consul: leave CONSUL_HOST_PORT out, or --vault-addr")
    }
    if options.verifyTarget {
      throw StartupError.usage("--verify-target", "--vault-addr asks every node itself already")
    }
    let addresses = try options.vaultAddr.map { try VaultAddress($0) }
    let template = try options.targetTemplate.map { try TargetTemplate($0) }
    let settings = try probeSettings()
    let source = try ProbeSource(
      addresses: addresses, template: template, security: settings.security,
      interval: settings.interval, timeout: settings.timeout)
    return Source(
      configuration: try configuration(.vault(source)), consulHostPort: nil,
      isHTTPS: template.map { $0.scheme == .https }
        ?? addresses.allSatisfy { $0.target.scheme == .https })
  }

  private func configuration(_ source: DiscoveryConfiguration.Source) throws
    -> DiscoveryConfiguration
  {
    let patterns = try options.allowTarget.map { try TargetPattern($0) }
    return DiscoveryConfiguration(
      source: source, staleLimit: try seconds("--stale-limit", options.staleLimit, mayBeZero: true),
      vanishGrace: try seconds("--vanish-grace", options.vanishGrace, mayBeZero: true),
      targets: TargetGuard(
        allowed: patterns.isEmpty ? nil : patterns, localHosts: LocalHosts.current().names),
      version: Version.number)
  }

  /// `-C` alone means the check, as it did in 0.1.
  private func selectionMode() throws(StartupError) -> SelectionMode {
    switch options.select {
    case nil: return seed.checkid.map { .check(id: $0) } ?? .auto(id: nil)
    case "auto": return .auto(id: seed.checkid)
    case "check": return .check(id: seed.checkid)
    case "tag":
      if seed.checkid == nil { return .tag }
      throw .usage("--select", "tag and --checkid contradict each other")
    case let other?: throw .usage("--select", "`\(other)` is not auto, tag or check")
    }
  }

  private func targetRule() throws -> TargetRule {
    if let template = options.targetTemplate {
      guard options.target == nil, !seed.ip else {
        throw StartupError.usage("--target-template", "takes the place of --target and --ip")
      }
      return .template(try TargetTemplate(template))
    }
    switch options.target {
    case nil: return seed.ip ? .ip : .node
    case _? where seed.ip:
      throw StartupError.usage("--target", "says the same as --ip or contradicts it")
    case "node": return .node
    case "ip": return .ip
    case "service": return .service
    case "wan": return .wan
    case "lan": return .lan
    case let other?:
      throw StartupError.usage("--target", "`\(other)` is not node, ip, service, wan or lan")
    }
  }

  private func verification() throws -> ProbeSettings? {
    // Wrong numbers are wrong also where they would not be used; files are read only where somebody is asked with them.
    if options.verifyTarget { return try probeSettings() }
    _ = (try probeInterval(), try probeTimeout())
    return nil
  }

  private func probeSettings() throws -> ProbeSettings {
    ProbeSettings(
      security: try .vault(environment: environment, authorityFile: options.vaultCacert),
      interval: try probeInterval(), timeout: try probeTimeout())
  }

  private func probeInterval() throws(StartupError) -> Duration {
    try seconds("--probe-interval", options.probeInterval)
  }

  private func probeTimeout() throws(StartupError) -> Duration {
    try seconds("--probe-timeout", options.probeTimeout)
  }

  private func seconds(
    _ option: String, _ value: Double, mayBeZero: Bool = false
  ) throws(StartupError) -> Duration {
    try Duration(option: option, seconds: value, mayBeZero: mayBeZero)
  }
}

extension Duration {
  /// A number of seconds from an option, fractions allowed.
  ///
  /// - Throws: wrong use, naming the option.
  init(option: String, seconds: Double, mayBeZero: Bool = false) throws(StartupError) {
    guard (seconds >= 0.05 && seconds <= 86_400) || (mayBeZero && seconds == 0) else {
      let zero = mayBeZero ? "0, or " : ""
      throw .usage(option, "\(seconds) is not \(zero)a number of seconds from 0.05 to 86400")
    }
    self = .milliseconds(Int64(seconds * 1000))
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

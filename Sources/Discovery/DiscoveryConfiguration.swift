/// Everything discovery is told at the start.
package struct DiscoveryConfiguration: Sendable {
  /// Who is asked.
  package enum Source: Sendable {
    case consul(ConsulSource)
    case vault(ProbeSource)
  }

  package var source: Source
  /// How long the last node is served while the source is silent; zero: for ever.
  package var staleLimit: Duration
  /// For `User-Agent`.
  package var version: String

  package init(source: Source, staleLimit: Duration = .seconds(300), version: String) {
    self.source = source
    self.staleLimit = staleLimit
    self.version = version
  }
}

/// A service in Consul, watched with blocking queries.
package struct ConsulSource: Sendable {
  package var access: ConsulAccess
  package var service: String
  package var rules: SelectionRules
  /// The pause between queries where Consul gives no index to block on.
  package var pollInterval: Duration
  /// How long Consul may keep a query when nothing changes; it adds up to a sixteenth of its own.
  package var wait: Duration

  /// - Throws: an error naming `--service` where the name could not stand in a URL's path as it is.
  package init(
    access: ConsulAccess, service: String = "vault", rules: SelectionRules,
    pollInterval: Duration = .seconds(5), wait: Duration = .seconds(60)
  ) throws(DiscoveryError) {
    guard !service.isEmpty, service.utf8.count <= 253 else {
      throw .invalid(option: "--service", reason: "a service name has 1 to 253 bytes")
    }
    self.access = access
    self.service = service
    self.rules = rules
    self.pollInterval = pollInterval
    self.wait = wait
  }
}

/// Nodes that are asked for their health themselves.
package struct ProbeSource: Sendable {
  /// At least one; each once.
  package var addresses: [VaultAddress]
  package var security: OutboundSecurity
  /// The pause between two probes of one node.
  package var interval: Duration
  /// For one probe, from connecting to the last byte.
  package var timeout: Duration

  /// - Throws: an error naming `--vault-addr` where one is given twice, or none.
  package init(
    addresses: [VaultAddress], security: OutboundSecurity, interval: Duration = .seconds(1),
    timeout: Duration = .seconds(2)
  ) throws(DiscoveryError) {
    guard !addresses.isEmpty else {
      throw .invalid(option: "--vault-addr", reason: "name at least one node")
    }
    guard Set(addresses).count == addresses.count else {
      throw .invalid(option: "--vault-addr", reason: "a node is named twice; name each once")
    }
    self.addresses = addresses
    self.security = security
    self.interval = interval
    self.timeout = timeout
  }
}

extension OutboundSecurity {
  /// The Vault CLI's variables, each under OpenBao's name (`BAO_…`) first, and `--vault-cacert` before both.
  ///
  /// - Throws: an error that names the variable or the option, or a file that cannot be read or does not fit.
  package static func vault(
    environment: Environment, authorityFile: String?
  ) throws(DiscoveryError) -> OutboundSecurity {
    func name(_ rest: String) -> String {
      environment["BAO_" + rest] != nil ? "BAO_" + rest : "VAULT_" + rest
    }
    let skips = try environment.flag(name("SKIP_VERIFY")) ?? false
    return try OutboundSecurity(
      environment,
      names: Names(
        authorityFile: name("CACERT"), authorityDirectory: name("CAPATH"),
        certificate: name("CLIENT_CERT"), key: name("CLIENT_KEY"),
        serverName: name("TLS_SERVER_NAME")),
      authorityFile: authorityFile.map { ("--vault-cacert", $0) }, verifies: !skips)
  }
}

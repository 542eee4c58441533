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
  /// How long a published node that Consul no longer lists stays, where nodes are not asked themselves.
  package var vanishGrace: Duration
  /// Where tokens may be sent to.
  package var targets: TargetGuard
  /// For `User-Agent`.
  package var version: String

  package init(
    source: Source, staleLimit: Duration = .seconds(300),
    vanishGrace: Duration = .seconds(5), targets: TargetGuard = TargetGuard(),
    version: String
  ) {
    self.source = source
    self.staleLimit = staleLimit
    self.vanishGrace = vanishGrace
    self.targets = targets
    self.version = version
  }

  /// The descriptors that discovery may have open at once, all nodes asked side by side: to be kept from clients, so that nodes
  /// are found also where those take every place. A catalog that names more nodes than `reckonedNodes` competes with them.
  package var descriptorsMax: Int {
    switch source {
    case .consul(let source):
      let asked = 1 + (source.verification == nil ? 0 : Self.reckonedNodes)
      return Self.ownDescriptors + Self.descriptorsOfAName * asked
    case .vault(let source):
      let names = source.addresses.count { !$0.isNumeric }
      let nodes =
        source.addresses.count - names + (names == 0 ? 0 : max(names, Self.reckonedNodes))
      return Self.ownDescriptors + Self.descriptorsOfANode * nodes
        + Self.descriptorsOfALookup * min(names, NameLookups.threadsMax)
    }
  }

  /// libcurl's to be woken by, and the files of certificates that a new connection reads.
  private static let ownDescriptors = 4
  /// Of one that is asked by its name: a connection to each of two addresses (RFC 8305), or the lookup. A lookup that libcurl
  /// has given up goes on in its thread until resolver(5)'s time is over, with two descriptors; by the defaults, of libc
  /// and of ours, there are four of them while a name server says nothing.
  private static let descriptorsOfAName = 9
  /// Of one that is asked at addresses that are known: a connection to each of two.
  private static let descriptorsOfANode = 2
  /// Of getaddrinfo(3), one at a time of a name: its sockets, and a file.
  private static let descriptorsOfALookup = 3
  /// Nodes of a catalog, or behind a name, that are reckoned with: a cluster has five.
  private static let reckonedNodes = 16

  /// How nodes are asked themselves; nil where they are not.
  var probeSettings: ProbeSettings? {
    switch source {
    case .consul(let source): source.verification
    case .vault(let source): source.settings
    }
  }
}

/// How a node is asked for its health.
package struct ProbeSettings: Sendable {
  package var security: OutboundSecurity
  /// The pause between two probes of one node while an active one is known.
  package var interval: Duration
  /// For one probe, from connecting to the last byte.
  package var timeout: Duration

  package init(
    security: OutboundSecurity, interval: Duration = .seconds(1), timeout: Duration = .seconds(2)
  ) {
    self.security = security
    self.interval = interval
    self.timeout = timeout
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
  /// `--verify-target`: a node is adopted only when it says itself that it is active. Nil: Consul's word is enough.
  package var verification: ProbeSettings?

  /// - Throws: an error naming `--service` where there is none, or `--verify-target` where nothing would be verified.
  package init(
    access: ConsulAccess, service: String = "vault", rules: SelectionRules,
    pollInterval: Duration = .seconds(5), wait: Duration = .seconds(10),
    verification: ProbeSettings? = nil
  ) throws(DiscoveryError) {
    guard !service.isEmpty, service.utf8.count <= 253 else {
      throw .invalid(option: "--service", reason: "a service name has 1 to 253 bytes")
    }
    self.access = access
    self.service = service
    self.rules = rules
    self.pollInterval = pollInterval
    self.wait = wait
    self.verification = verification
    guard let verification else { return }
    guard rules.sendsToHTTPS else {
      throw .invalid(
        option: "--verify-target", reason: "http targets have no certificate; add --https")
    }
    guard verification.security.verifies else {
      throw .invalid(
        option: "--verify-target", reason: "VAULT_SKIP_VERIFY turns off what it asks for; unset it")
    }
  }

  /// Waiting for half the stale limit at most, so that one lost query does not use it up.
  func bounded(by staleLimit: Duration) -> ConsulSource {
    guard staleLimit > .zero else { return self }
    var copy = self
    copy.wait = min(wait, staleLimit / 2)
    copy.pollInterval = min(pollInterval, staleLimit / 2)
    return copy
  }
}

/// Nodes that are asked for their health themselves.
package struct ProbeSource: Sendable {
  /// At least one; each once.
  package var addresses: [VaultAddress]
  /// Where clients are sent; nil: to the address or the name by which a node is asked.
  package var template: TargetTemplate?
  package var settings: ProbeSettings

  /// - Throws: an error naming `--vault-addr` where one is given twice, or none, or `--target-template` where it does not fit.
  package init(
    addresses: [VaultAddress], template: TargetTemplate? = nil, security: OutboundSecurity,
    interval: Duration = .seconds(1), timeout: Duration = .seconds(2)
  ) throws(DiscoveryError) {
    try template?.checkWithoutConsul()
    guard !addresses.isEmpty else {
      throw .invalid(option: "--vault-addr", reason: "name at least one node")
    }
    guard Set(addresses).count == addresses.count else {
      throw .invalid(option: "--vault-addr", reason: "a node is named twice; name each once")
    }
    self.addresses = addresses
    self.template = template
    settings = ProbeSettings(security: security, interval: interval, timeout: timeout)
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

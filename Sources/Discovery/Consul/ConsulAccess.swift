/// How to reach Consul and with which rights: the addresses, the token, TLS, and where the service is looked for.
package struct ConsulAccess: Hashable, Sendable {
  /// Where the token comes from.
  package enum Token: Hashable, Sendable {
    case none
    case text(String)
    /// Read at the start, and again when Consul refuses it or a reload is asked for.
    case file(path: String)
  }

  /// In the order they are tried; at least one.
  package var endpoints: [ConsulEndpoint]
  package var token = Token.none
  /// `user:password` for Basic authentication.
  package var credentials: String?
  package var datacenter: String?
  package var namespace: String?
  package var partition: String?
  package var security = OutboundSecurity()

  package init(endpoints: [ConsulEndpoint]) {
    precondition(!endpoints.isEmpty, "a watch without an address")
    self.endpoints = endpoints
  }

  /// Reads the Consul CLI's variables; an argument goes before its variable.
  ///
  /// - Parameters:
  ///   - address: CONSUL_HOST_PORT as given; several are separated by commas.
  /// - Throws: an error that names the variable or the argument, or a file that cannot be read or does not fit.
  package init(
    address: String?, datacenter: String? = nil, namespace: String? = nil, partition: String? = nil,
    environment: Environment
  ) throws(DiscoveryError) {
    let option = address == nil ? "CONSUL_HTTP_ADDR" : "CONSUL_HOST_PORT"
    let text = address ?? environment["CONSUL_HTTP_ADDR"] ?? "127.0.0.1:8500"
    let forcesTLS = try environment.flag("CONSUL_HTTP_SSL") ?? false
    var endpoints: [ConsulEndpoint] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let address = trimmed(part)
      endpoints.append(try ConsulEndpoint(address, forcesTLS: forcesTLS, option: option))
    }
    self.init(endpoints: endpoints)
    try setCredentials(environment)
    self.datacenter = datacenter
    self.namespace = namespace ?? environment["CONSUL_NAMESPACE"]
    self.partition = partition ?? environment["CONSUL_PARTITION"]
    security = try OutboundSecurity(
      environment,
      names: OutboundSecurity.Names(
        authorityFile: "CONSUL_CACERT", authorityDirectory: "CONSUL_CAPATH",
        certificate: "CONSUL_CLIENT_CERT", key: "CONSUL_CLIENT_KEY",
        serverName: "CONSUL_TLS_SERVER_NAME"),
      authorityFile: nil, verifies: try environment.flag("CONSUL_HTTP_SSL_VERIFY") ?? true)
  }

  private mutating func setCredentials(_ environment: Environment) throws(DiscoveryError) {
    if let path = environment["CONSUL_HTTP_TOKEN_FILE"] {
      _ = try SmallFile.readToken(path, option: "CONSUL_HTTP_TOKEN_FILE")
      token = .file(path: path)
    } else if let text = environment["CONSUL_HTTP_TOKEN"] {
      guard isFieldValue(text) else {
        throw .invalid(
          option: "CONSUL_HTTP_TOKEN", reason: "the token has bytes that no HTTP field may have")
      }
      token = .text(text)
    }
    if let pair = environment["CONSUL_HTTP_AUTH"] {
      guard isFieldValue(pair) else {
        throw .invalid(option: "CONSUL_HTTP_AUTH", reason: "write user:password in ASCII")
      }
      credentials = pair
    }
  }

  /// The addresses for logs and health.
  package var description: String {
    endpoints.map(\.description).joined(separator: ",")
  }
}

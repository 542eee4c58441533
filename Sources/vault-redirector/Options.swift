import ArgumentParser

/// The command line, as written; what it means is for `Configuration` to say.
struct Options: ParsableCommand {
  @OptionGroup(title: "Compatible with vault-redirector 0.2.0") var seed: SeedOptions
  @OptionGroup(title: "Listening") var listening: ListeningOptions
  @OptionGroup(title: "TLS") var tls: TLSOptions
  @OptionGroup(title: "Finding the active node") var discovery: DiscoveryOptions
  @OptionGroup(title: "Limits and deadlines") var limits: LimitOptions

  /// What a command line asks for.
  enum Request {
    /// Print this and leave.
    case show(String)
    /// Judge these options and the files they name, and leave.
    case check(Options)
    /// Ask once which node is active, and leave.
    case printTarget(Options)
    case run(Options)
  }

  /// Reads the command line, and `VAULT_REDIRECTOR_<FLAG>` for every flag that is not on it.
  ///
  /// - Throws: one line that names the option, with the exit code of wrong use.
  static func parse(
    _ arguments: [String], environment: [String: String]
  ) throws(StartupError) -> Request {
    let defaults = try EnvironmentDefaults.arguments(besides: arguments, in: environment)
    do {
      let options = try parse(defaults + arguments)
      if options.seed.version { return .show(Version.text) }
      if options.tls.checkConfig { return .check(options) }
      return options.discovery.printTarget ? .printTarget(options) : .run(options)
    } catch {
      if exitCode(for: error) == .success { return .show(fullMessage(for: error)) }
      throw StartupError(exitCode: .usage, message: message(for: error))
    }
  }

  static let configuration = CommandConfiguration(
    commandName: "vault-redirector",
    abstract: "Redirects every request to the active node of a Vault or OpenBao cluster.",
    discussion: """
      Every option can come from the environment as well: --port from VAULT_REDIRECTOR_PORT, and so on. \
      Signals: SIGTERM and SIGINT finish what is in flight and exit, a second one exits at once; SIGHUP reads \
      certificate and key again; SIGUSR1 and SIGUSR2 turn the log on and off.
      """)
}

/// The flags of the Python program, each as it was.
struct SeedOptions: ParsableArguments {
  @Flag(name: [.short, .long], help: "Log more: once for info, twice for debug.")
  var verbose: Int

  @Flag(
    name: [.customShort("l"), .customLong("log-disable")],
    help: "After set-up log nothing, until SIGUSR1; SIGUSR2 disables again.")
  var logDisable = false

  @Flag(name: [.customShort("V"), .long], help: "Show the version and leave.")
  var version = false

  @Flag(name: [.customShort("S"), .long], help: "Redirect to https (default: http).")
  var https = false

  @Flag(
    name: [.customShort("I"), .long], help: "Redirect to the node's IP address, not to its name.")
  var ip = false

  @Option(
    name: [.customShort("p", allowingJoined: true), .long],
    help: ArgumentHelp(
      "Seconds between polls where Consul gives no index to wait on.", valueName: "seconds"))
  var pollInterval = 5.0

  @Option(
    name: [.customShort("P", allowingJoined: true), .long],
    help: ArgumentHelp("Port to listen on; 0 lets the kernel choose.", valueName: "number"))
  var port: UInt16 = 8080

  @Option(
    name: [.customShort("c", allowingJoined: true), .long],
    help: ArgumentHelp(
      "PEM file with the certificate chain, leaf first; with --key-path the port speaks TLS. Repeatable.",
      valueName: "file"))
  var certPath: [String] = []

  @Option(
    name: [.customShort("k", allowingJoined: true), .long],
    help: ArgumentHelp("PEM file with the certificate's key, not encrypted.", valueName: "file"))
  var keyPath: [String] = []

  @Option(
    name: [.customShort("C", allowingJoined: true), .long],
    help: ArgumentHelp(
      "Choose the active node by this check being passing, not by its tag.", valueName: "id"))
  var checkid: String?

  @Argument(
    help: ArgumentHelp(
      "Consul's address: host:port, http://, https:// or unix://.", valueName: "CONSUL_HOST_PORT"))
  var consulHostPort: String?
}

/// Where and how clients connect.
struct ListeningOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("Address to listen on; repeatable (default: all).", valueName: "address"))
  var bind: [String] = []

  @Option(help: ArgumentHelp("Event loops (default: the CPUs we may use).", valueName: "number"))
  var workers: Int?

  @Flag(help: "Let a TLS listener redirect to http, which sends tokens in clear.")
  var allowDowngrade = false

  @Option(
    help: ArgumentHelp("Expect a PROXY header: off, v1, v2 or any.", valueName: "version"))
  var proxyProtocol = "off"

  @Option(
    help: ArgumentHelp(
      "Who may send PROXY headers: CIDR blocks, separated by commas; others are refused.",
      valueName: "cidr,…"))
  var proxyProtocolFrom: String?

  @Option(
    help: ArgumentHelp("Serve /metrics in plain HTTP on this address.", valueName: "address:port"))
  var admin: String?

  @Flag(help: "Let --admin be another address than a loopback one.")
  var adminAllowRemote = false

  @Option(help: ArgumentHelp("One line a request: off or on.", valueName: "off|on"))
  var accessLog = "off"

  @Option(
    help: ArgumentHelp(
      "What the access log says of the target: off or path.", valueName: "off|path"))
  var logPath = "path"
}

/// How TLS is spoken, and with whom.
struct TLSOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Mozilla's guideline 6.0: intermediate (TLS 1.2 and 1.3) or modern (1.3 alone).",
      valueName: "name"))
  var tlsPolicy = "intermediate"

  @Option(help: ArgumentHelp("The least version: 1.2 or 1.3.", valueName: "version"))
  var tlsMin: String?

  @Option(help: ArgumentHelp("TLS 1.2 ciphers, in OpenSSL's notation.", valueName: "list"))
  var tlsCiphers: String?

  @Option(help: ArgumentHelp("TLS 1.3 cipher suites.", valueName: "list"))
  var tlsCiphersuites: String?

  @Option(help: ArgumentHelp("Key exchange groups.", valueName: "list"))
  var tlsGroups: String?

  @Option(
    help: ArgumentHelp("Load replaced certificate files by itself: on or off.", valueName: "on|off")
  )
  var certWatch = "on"

  @Option(
    help: ArgumentHelp(
      "Session ticket keys to share: base64 of 48 or 80 bytes a line, newest last; watched too.",
      valueName: "file"))
  var ticketKeyFile: String?

  @Option(help: ArgumentHelp("PEM file with the CAs of client certificates.", valueName: "file"))
  var clientCa: String?

  @Option(
    help: ArgumentHelp(
      "Whether a client needs a certificate of --client-ca: optional or required (the default).",
      valueName: "mode"))
  var clientVerify: String?

  @Option(help: ArgumentHelp("Intermediates in a client's chain.", valueName: "number"))
  var clientDepth = 4

  @Option(help: ArgumentHelp("PEM file with revocation lists of --client-ca.", valueName: "file"))
  var clientCrl: String?

  @Flag(help: "Load and judge everything, listen nowhere, say what is in force; exit 0 or 78.")
  var checkConfig = false
}

/// Who says which node is active.
struct DiscoveryOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Vault's service in Consul.", valueName: "name"))
  var service = "vault"

  @Option(help: ArgumentHelp("The tag that the active node carries.", valueName: "tag"))
  var activeTag = "active"

  @Option(
    help: ArgumentHelp(
      "Look only at instances with this tag, whatever others they have; repeatable.",
      valueName: "tag"))
  var requireTag: [String] = []

  @Option(
    help: ArgumentHelp(
      "How the active node is told: tag, check, or auto (the check only where Vault sets no tags).",
      valueName: "auto|tag|check"))
  var select: String?

  @Option(
    help: ArgumentHelp(
      "Where clients are sent: node (its name), ip, service (Service.Address), wan or lan.",
      valueName: "address"))
  var target: String?

  @Option(
    help: ArgumentHelp(
      "Where clients are sent, as 'https://{node}.vault.example.com:{port}'.", valueName: "url"))
  var targetTemplate: String?

  @Option(
    help: ArgumentHelp(
      "Redirect to such hosts only: a name with * and ? within a label, or a CIDR block; repeatable.",
      valueName: "host|cidr"))
  var allowTarget: [String] = []

  @Option(help: ArgumentHelp("Consul's datacenter.", valueName: "name"))
  var datacenter: String?

  @Option(help: ArgumentHelp("Consul's namespace.", valueName: "name"))
  var namespace: String?

  @Option(help: ArgumentHelp("Consul's admin partition.", valueName: "name"))
  var partition: String?

  @Option(
    help: ArgumentHelp(
      "Ask this node itself, and no Consul; a name with several addresses is several; repeatable.",
      valueName: "url"))
  var vaultAddr: [String] = []

  @Option(help: ArgumentHelp("PEM file with the CAs of --vault-addr.", valueName: "file"))
  var vaultCacert: String?

  @Option(help: ArgumentHelp("Between two probes of a node.", valueName: "seconds"))
  var probeInterval = 1.0

  @Option(help: ArgumentHelp("For one probe.", valueName: "seconds"))
  var probeTimeout = 2.0

  @Flag(
    help: "Ask once, print the nodes and the target, and leave: exit 0, or 69 where there is none.")
  var printTarget = false

  @Flag(help: "Print that as JSON.")
  var json = false

  @Flag(
    help: "Adopt a node of Consul's only when it says itself, over verified TLS, that it is active."
  )
  var verifyTarget = false

  @Option(
    help: ArgumentHelp(
      "How long the last node serves while nobody answers; 0: for ever.", valueName: "seconds"))
  var staleLimit = 300.0

  @Option(
    help: ArgumentHelp(
      "How long health stays 200 while nobody answers and the last node serves; 0: as long as it does.",
      valueName: "seconds"))
  var healthStale = 30.0

  @Option(
    help: ArgumentHelp(
      "How long a node serves that Consul lists no more, without --verify-target.",
      valueName: "seconds"))
  var vanishGrace = 5.0

  @Option(
    help: ArgumentHelp(
      "How long a request waits for an active node before it gets 503; 0: not at all.",
      valueName: "seconds"))
  var hold = 10.0

  @Option(help: ArgumentHelp("Requests that wait at once.", valueName: "number"))
  var holdMax = 1024

  @Option(
    help: ArgumentHelp(
      "How long health stays 200 without an active node, once there was one.", valueName: "seconds")
  )
  var healthGrace = 15.0
}

/// Every limit and deadline of the connection side.
struct LimitOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Connections at once (default: from RLIMIT_NOFILE and memory).", valueName: "number"))
  var maxConnections: Int?

  @Option(
    help: ArgumentHelp(
      "Connections not accepted yet (default: the kernel's maximum).", valueName: "number"))
  var backlog: Int?

  @Option(
    help: ArgumentHelp(
      "Connections at once from one IPv4 address or IPv6 /64; 0: no limit.", valueName: "number"))
  var maxConnectionsPerIp = 0

  @Option(help: ArgumentHelp("Requests on one connection; 0: no limit.", valueName: "number"))
  var maxRequestsPerConnection = 0

  @Option(help: ArgumentHelp("Request line, in bytes.", valueName: "bytes"))
  var maxRequestLine = 16_384

  @Option(help: ArgumentHelp("Whole request head, in bytes.", valueName: "bytes"))
  var maxHead = 32_768

  @Option(help: ArgumentHelp("Fields in a head.", valueName: "number"))
  var maxFields = 100

  @Option(
    help: ArgumentHelp("Request body that is read and dropped, in bytes.", valueName: "bytes"))
  var maxBody: UInt64 = 1_048_576

  @Option(help: ArgumentHelp("For a request body to arrive.", valueName: "seconds"))
  var bodyTimeout = 5.0

  @Option(help: ArgumentHelp("For a request head to arrive, in all.", valueName: "seconds"))
  var headTimeout = 10.0

  @Option(help: ArgumentHelp("For a TLS handshake.", valueName: "seconds"))
  var handshakeTimeout = 10.0

  @Option(help: ArgumentHelp("For a PROXY header.", valueName: "seconds"))
  var proxyHeaderTimeout = 3.0

  @Option(help: ArgumentHelp("For another request on an idle connection.", valueName: "seconds"))
  var keepAliveTimeout = 75.0

  @Option(help: ArgumentHelp("For a client to take its answer.", valueName: "seconds"))
  var writeTimeout = 10.0

  @Option(help: ArgumentHelp("For a client to close after its last answer.", valueName: "seconds"))
  var lingerTimeout = 10.0

  @Option(
    help: ArgumentHelp("For what is in flight when the process is stopped.", valueName: "seconds"))
  var shutdownTimeout = 20.0
}

import TLS

/// Turns the options for TLS into its configuration.
struct TLSOptionsReader {
  private let seed: SeedOptions
  private let options: TLSOptions

  init(_ options: Options) {
    seed = options.seed
    self.options = options.tls
  }

  /// Nil where no certificate is named: the port speaks plain HTTP.
  ///
  /// - Throws: wrong use, naming the option.
  func read() throws(StartupError) -> TLSConfiguration? {
    let (certificates, keys) = (seed.certPath, seed.keyPath)
    if certificates.count < keys.count { throw .usage("--key-path", "needs --cert-path as well") }
    if certificates.count > keys.count { throw .usage("--cert-path", "needs --key-path as well") }
    if certificates.isEmpty {
      try refuseOptionsWithoutCertificate()
      return nil
    }
    return TLSConfiguration(
      credentials: zip(certificates, keys).map { .init(certificate: $0, key: $1) },
      policy: try policy(), clients: try clients(), ticketKeyPath: options.ticketKeyFile)
  }

  private func policy() throws(StartupError) -> TLSPolicy {
    guard let name = TLSPolicy.Name(rawValue: options.tlsPolicy) else {
      throw .usage("--tls-policy", "`\(options.tlsPolicy)` is neither intermediate nor modern")
    }
    var policy = TLSPolicy(name)
    switch options.tlsMin {
    case nil: break
    case "1.2": policy.minimumVersion = .tls12
    case "1.3": policy.minimumVersion = .tls13
    case let other?: throw .usage("--tls-min", "`\(other)` is neither 1.2 nor 1.3")
    }
    if let ciphers = options.tlsCiphers { policy.ciphers = ciphers }
    if let suites = options.tlsCiphersuites { policy.cipherSuites = suites }
    policy.groups = options.tlsGroups
    return policy
  }

  private func clients() throws(StartupError) -> ClientVerification? {
    guard let authorities = options.clientCa else {
      if options.clientVerify != nil {
        throw .usage("--client-verify", "needs --client-ca as well")
      }
      if options.clientCrl != nil { throw .usage("--client-crl", "needs --client-ca as well") }
      return nil
    }
    guard let mode = ClientVerification.Mode(rawValue: options.clientVerify ?? "required") else {
      throw .usage(
        "--client-verify", "`\(options.clientVerify ?? "")` is neither optional nor required")
    }
    guard (0...32).contains(options.clientDepth) else {
      throw .usage("--client-depth", "\(options.clientDepth) is not a number from 0 to 32")
    }
    return ClientVerification(
      mode: mode, authoritiesPath: authorities, revocationListsPath: options.clientCrl,
      depth: options.clientDepth)
  }

  private func refuseOptionsWithoutCertificate() throws(StartupError) {
    let given: [(String, Bool)] = [
      ("--client-ca", options.clientCa != nil), ("--client-verify", options.clientVerify != nil),
      ("--client-crl", options.clientCrl != nil),
      ("--ticket-key-file", options.ticketKeyFile != nil),
    ]
    if let (option, _) = given.first(where: { $0.1 }) {
      throw .usage(option, "means nothing without --cert-path and --key-path")
    }
  }
}

extension StartupError {
  /// A file or a policy that TLS refuses, with the option that named it.
  init(tls error: TLSError, in configuration: TLSConfiguration) {
    let options = error.path.map { configuration.options(naming: $0) + ": " } ?? ""
    self.init(
      exitCode: error.isFileUnreadable ? .noInput : .configuration, message: "\(options)\(error)")
  }
}

extension TLSConfiguration {
  /// The options that name the file: more than one where a file is certificate and key.
  fileprivate func options(naming path: String) -> String {
    let named: [(option: String, isIt: Bool)] = [
      ("--cert-path", credentials.contains { $0.certificate == path }),
      ("--key-path", credentials.contains { $0.key == path }),
      ("--client-ca", clients?.authoritiesPath == path),
      ("--client-crl", clients?.revocationListsPath == path),
      ("--ticket-key-file", ticketKeyPath == path),
    ]
    return named.filter(\.isIt).map(\.option).joined(separator: ", ")
  }
}

extension TLSError {
  /// The file that the error is about; nil where it is about none.
  fileprivate var path: String? {
    switch self {
    case .unreadable(let path, _), .notRegular(let path, _), .empty(let path),
      .tooLarge(let path, _),
      .notPEM(let path, _),
      .damaged(let path, _), .encryptedKey(let path),
      .keyMismatch(_, let path),
      .leafNotFirst(let path, _), .sameKeyType(_, let path, _), .ticketKeys(let path, _),
      .tooWeak(let path, _), .unusable(let path, _):
      path
    case .policy, .weakPolicy, .library: nil
    }
  }
}

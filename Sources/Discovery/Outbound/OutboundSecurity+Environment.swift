extension OutboundSecurity {
  /// The variables that say how to speak TLS, under the names of one program.
  struct Names {
    var authorityFile, authorityDirectory, certificate, key, serverName: String
  }

  /// Reads the variables and checks that the files they name are there and are PEM.
  ///
  /// - Parameters:
  ///   - authorityFile: an option that goes before the variable.
  ///   - verifies: false accepts any certificate.
  init(
    _ environment: Environment, names: Names, authorityFile option: (name: String, path: String)?,
    verifies: Bool
  ) throws(DiscoveryError) {
    self.init()
    self.verifies = verifies
    let file = option ?? environment[names.authorityFile].map { (names.authorityFile, $0) }
    if let file {
      try SmallFile.checkPEM(file.path, kind: "CERTIFICATE", option: file.name)
      self.authorityFile = file.path
    }
    if let directory = environment[names.authorityDirectory] {
      try SmallFile.checkDirectory(directory, option: names.authorityDirectory)
      authorityDirectory = directory
    }
    if let name = environment[names.serverName] {
      guard let authority = Authority(name) else {
        throw .invalid(option: names.serverName, reason: "\"\(sanitized(name))\" is not a name")
      }
      serverName = authority.host
    }
    try setCertificate(environment[names.certificate], key: environment[names.key], names: names)
  }

  private mutating func setCertificate(
    _ certificate: String?, key: String?, names: Names
  ) throws(DiscoveryError) {
    switch (certificate, key) {
    case (nil, nil): return
    case (.some, nil):
      throw .invalid(option: names.key, reason: "missing, while \(names.certificate) is set")
    case (nil, .some):
      throw .invalid(option: names.certificate, reason: "missing, while \(names.key) is set")
    case (.some(let certificate), .some(let key)):
      try SmallFile.checkPEM(certificate, kind: "CERTIFICATE", option: names.certificate)
      try SmallFile.checkPEM(key, kind: "PRIVATE KEY", option: names.key)
      certificateFile = certificate
      keyFile = key
    }
  }
}

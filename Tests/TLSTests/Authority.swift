import Synchronization

/// A certificate authority made with the `openssl` command; everything it issues is valid when
/// asked for, or not.
struct Authority: Sendable {
  /// PEM files of a certificate and its key.
  struct Pair: Sendable {
    let certificate: String
    let key: String
  }

  static let p256 = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
  static let leafExtensions = """
    basicConstraints=CA:FALSE
    subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1
    """

  let pair: Pair
  private let configuration: String

  /// A root, or an intermediate of `issuer`.
  init(_ name: String, issuer: Authority? = nil) throws {
    let extensions = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign"
    if let issuer {
      pair = try issuer.issue(name, extensions: extensions)
    } else {
      pair = Pair(certificate: Scratch.file("\(name).pem"), key: Scratch.file("\(name).key"))
      let lines = extensions.split(separator: "\n").flatMap { ["-addext", String($0)] }
      try Self.openssl(
        ["req", "-x509", "-nodes", "-days", "30", "-config", "/dev/null", "-subj", "/CN=\(name)"]
          + ["-newkey"] + Self.p256 + ["-keyout", pair.key, "-out", pair.certificate] + lines)
    }
    configuration = try Scratch.write(
      """
      [ca]
      default_ca = this
      [this]
      database = \(try Scratch.write("", "\(name).index"))
      new_certs_dir = \(Scratch.directory)
      rand_serial = yes
      unique_subject = no
      certificate = \(pair.certificate)
      private_key = \(pair.key)
      default_md = sha256
      default_days = 30
      default_crl_days = 30
      policy = any
      [any]
      organizationName = optional
      commonName = supplied
      """, "\(name).cnf")
  }

  /// A certificate for `/O=Example/CN=name` with a new key; dates are as `openssl ca` takes them:
  /// `20200101000000Z`.
  func issue(
    _ name: String, key: [String] = Authority.p256, extensions: String = leafExtensions,
    from start: String? = nil, until end: String? = nil
  ) throws -> Pair {
    let new = Pair(certificate: Scratch.file("\(name).pem"), key: Scratch.file("\(name).key"))
    let request = Scratch.file("\(name).csr")
    let subject = "/O=Example/CN=\(name)"
    try Self.openssl(
      ["req", "-new", "-nodes", "-config", "/dev/null", "-subj", subject, "-newkey"] + key
        + ["-keyout", new.key, "-out", request])
    var arguments = ["ca", "-batch", "-notext", "-config", configuration, "-in", request]
    arguments += [
      "-out", new.certificate, "-extfile", try Scratch.write(extensions, "\(name).ext"),
    ]
    if let start { arguments += ["-startdate", start] }
    if let end { arguments += ["-enddate", end] }
    try Self.openssl(arguments)
    return new
  }

  func revoke(_ certificate: String) throws {
    try Self.openssl(["ca", "-config", configuration, "-revoke", certificate])
  }

  /// A file with the revocation list of now.
  func revocationList(
    lastUpdate: String = "20200101000000Z", nextUpdate: String? = nil
  ) throws -> String {
    let path = Scratch.file("list.crl")
    var arguments = ["ca", "-config", configuration, "-gencrl", "-out", path]
    if let nextUpdate {
      arguments += ["-crl_lastupdate", lastUpdate, "-crl_nextupdate", nextUpdate]
    }
    try Self.openssl(arguments)
    return path
  }

  /// `openssl ca` keeps a database for each authority, and does not lock it.
  private static let turn = Mutex(())

  private static func openssl(_ arguments: [String]) throws {
    let (status, output) = try turn.withLock { _ in
      try Subprocess(["openssl"] + arguments).wait()
    }
    if status != 0 { throw Subprocess.Failed(description: output) }
  }
}

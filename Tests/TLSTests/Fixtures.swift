import TLS

/// Keys and certificates made with the `openssl` command, once in a run: a root, an intermediate and leaves.
struct Fixtures: Sendable {
  static let shared = Result { try Fixtures() }

  /// PEM files; a chain is leaf, intermediate.
  let root, intermediate: String
  let ecdsaChain, ecdsaLeaf, ecdsaKey: String
  let rsaChain, rsaKey: String
  let encryptedKey, weakCertificate, weakKey: String

  private init() throws {
    let folder = Scratch.directory
    func path(_ name: String) -> String { "\(folder)/\(name)" }
    func make(
      _ name: String, subject: String, key: [String], issuer: String?, extensions: [String]
    ) throws {
      var arguments = ["openssl", "req", "-x509", "-nodes", "-sha256", "-days", "30", "-batch"]
      arguments += ["-config", "/dev/null", "-subj", subject, "-newkey"] + key
      arguments += ["-keyout", path("\(name).key"), "-out", path("\(name).pem")]
      if let issuer {
        arguments += ["-CA", path("\(issuer).pem"), "-CAkey", path("\(issuer).key")]
      }
      for line in extensions { arguments += ["-addext", line] }
      let (status, output) = try Subprocess(arguments).wait()
      if status != 0 { throw Subprocess.Failed(description: output) }
    }
    let p256 = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    let authority = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"]
    let names = ["subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1", "basicConstraints=CA:FALSE"]
    try make("root", subject: "/CN=Root", key: p256, issuer: nil, extensions: authority)
    try make("mid", subject: "/CN=Intermediate", key: p256, issuer: "root", extensions: authority)
    try make("ecdsa", subject: "/CN=localhost", key: p256, issuer: "mid", extensions: names)
    try make("rsa", subject: "/CN=localhost", key: ["rsa:2048"], issuer: "mid", extensions: names)
    try make("weak", subject: "/CN=weak", key: ["rsa:1024"], issuer: "mid", extensions: names)
    root = path("root.pem")
    intermediate = path("mid.pem")
    ecdsaLeaf = path("ecdsa.pem")
    ecdsaKey = path("ecdsa.key")
    rsaKey = path("rsa.key")
    weakCertificate = path("weak.pem")
    weakKey = path("weak.key")
    let middle = try Scratch.read(intermediate)
    ecdsaChain = try Scratch.write(try Scratch.read(ecdsaLeaf) + middle, "ecdsa-chain.pem")
    rsaChain = try Scratch.write(try Scratch.read(path("rsa.pem")) + middle, "rsa-chain.pem")
    encryptedKey = path("encrypted.key")
    try Subprocess.run(
      "openssl", "pkey", "-in", ecdsaKey, "-aes128", "-passout", "pass:secret", "-out", encryptedKey
    )
  }

  /// A context with the ECDSA chain, and the RSA chain where asked for.
  func context(
    policy: TLSPolicy = .intermediate, withRSA: Bool = false
  ) throws -> TLSContext {
    var credentials = [try TLSCredentials(certificatePath: ecdsaChain, keyPath: ecdsaKey)]
    if withRSA {
      credentials.append(try TLSCredentials(certificatePath: rsaChain, keyPath: rsaKey))
    }
    return try TLSContext(credentials: credentials, policy: policy)
  }
}

@testable import Discovery
import Redirect
import Testing

@Suite("What the operator writes")
struct ConfigurationTests {
  @Test(
    "Addresses of Consul",
    arguments: [
      ("127.0.0.1:8500", false, "http://127.0.0.1:8500"),
      ("consul", false, "http://consul:8500"),
      ("[::1]:8500", false, "http://[::1]:8500"),
      ("http://consul:1234", false, "http://consul:1234"),
      ("http://consul", false, "http://consul:80"),
      ("https://consul", false, "https://consul:443"),
      ("HTTPS://consul:8501", false, "https://consul:8501"),
      ("https://proxy/consul/", false, "https://proxy:443/consul"),
      ("consul:8501", true, "https://consul:8501"),
      ("http://consul:8501", true, "https://consul:8501"),
      ("unix:///run/consul.sock", false, "http://localhost:80"),
    ])
  func endpoints(text: String, forcesTLS: Bool, url: String) throws {
    let environment = Environment(["CONSUL_HTTP_SSL": forcesTLS ? "1" : "0"])
    let access = try ConsulAccess(address: text, environment: environment)
    var watch = ConsulWatch(try ConsulSource(access: access, rules: SelectionRules()), "1")
    let first = watch.request(now: .zero)
    let request = try #require(first)
    #expect(request.url == url + "/v1/health/service/vault?stale")
    #expect(request.unixSocket == (text.hasPrefix("unix") ? "/run/consul.sock" : nil))
  }

  @Test(
    "Addresses that are none",
    arguments: [
      "", " ", "consul:", "consul:0", "consul:65536", "consul:+1", "ftp://consul", "unix://run/x",
      "::1", "[::1", "[consul]:1", "a b:1", "http://", "http://user:pw@consul", "http://consul/?x",
      "consul:8500\r\nX: y",
    ])
  func badEndpoints(text: String) {
    #expect(throws: DiscoveryError.self) {
      try ConsulEndpoint(text, forcesTLS: false, option: "CONSUL_HOST_PORT")
    }
  }

  @Test("The Consul CLI's variables; an argument goes first, a token file before a token")
  func environment() throws {
    try withTemporaryFile(" secret\n") { path in
      let access = try ConsulAccess(
        address: nil,
        environment: Environment([
          "CONSUL_HTTP_ADDR": "consul-1:8500,https://consul-2:8501", "CONSUL_HTTP_TOKEN": "other",
          "CONSUL_HTTP_TOKEN_FILE": path, "CONSUL_HTTP_SSL_VERIFY": "false",
          "CONSUL_HTTP_AUTH": "me:pass", "CONSUL_NAMESPACE": "team", "CONSUL_PARTITION": "",
        ]))
      #expect(access.description == "consul-1:8500,consul-2:8501")
      #expect(access.endpoints.map(\.usesTLS) == [false, true])
      #expect(access.token == .file(path: path))
      #expect(access.credentials == "me:pass")
      #expect(access.namespace == "team")
      #expect(access.partition == nil)
      #expect(!access.security.verifies)
      let argued = try ConsulAccess(
        address: "here:1", environment: Environment(["CONSUL_HTTP_ADDR": "there:2"]))
      #expect(argued.description == "here:1")
    }
  }

  @Test(
    "Mistakes name the variable and say what to do",
    arguments: [
      (["CONSUL_HTTP_SSL": "yes"], "CONSUL_HTTP_SSL"),
      (["CONSUL_HTTP_ADDR": "gopher://x"], "CONSUL_HTTP_ADDR"),
      (["CONSUL_HTTP_TOKEN": "a\nb"], "CONSUL_HTTP_TOKEN"),
      (["CONSUL_HTTP_TOKEN_FILE": "/nowhere/token"], "CONSUL_HTTP_TOKEN_FILE"),
      (["CONSUL_CACERT": "/nowhere/ca.pem"], "CONSUL_CACERT"),
      (["CONSUL_CAPATH": "/nowhere"], "CONSUL_CAPATH"),
      (["CONSUL_CLIENT_CERT": "/etc/hostname"], "CONSUL_CLIENT_KEY"),
      (["CONSUL_CLIENT_KEY": "/etc/hostname"], "CONSUL_CLIENT_CERT"),
      (["CONSUL_CACERT": "/etc/passwd"], "CONSUL_CACERT"),
    ])
  func mistakes(variables: [String: String], name: String) throws {
    let error = try #require(throws: DiscoveryError.self) {
      try ConsulAccess(address: nil, environment: Environment(variables))
    }
    #expect(error.message.hasPrefix("\(name): "))
  }

  @Test("Files are told apart: those that cannot be read, and those that do not fit")
  func files() throws {
    try withTemporaryFile("") { path in
      #expect(throws: DiscoveryError.self) { try SmallFile.readToken(path, option: "o") }
      #expect(
        throws: DiscoveryError.unfit(
          option: "o", path: path, reason: "there is no PEM block \"CERTIFICATE\" in it")
      ) { try SmallFile.checkPEM(path, kind: "CERTIFICATE", option: "o") }
    }
    #expect(
      throws: DiscoveryError.unreadable(
        option: "o", path: "/nowhere", reason: "No such file or directory")
    ) { try SmallFile.read("/nowhere", option: "o") }
    #expect(throws: DiscoveryError.self) { try SmallFile.read("/", option: "o") }
    #expect(throws: DiscoveryError.self) { try SmallFile.read("/dev/zero", option: "o") }
  }

  @Test(
    "Addresses of Vault",
    arguments: [
      ("https://vault-a:8200", "https://vault-a:8200"),
      ("https://vault-a", "https://vault-a:443"), ("http://127.0.0.1/", "http://127.0.0.1:80"),
      ("HTTPS://[2001:db8::1]:8200", "https://[2001:db8::1]:8200"),
    ])
  func vault(text: String, origin: String) throws {
    #expect(try VaultAddress(text).target.origin == origin)
  }

  @Test(
    "Addresses of Vault that are none",
    arguments: [
      "vault-a:8200", "https://", "https://a/v1", "https://u@a", "unix:///run/v", "https://a:0",
      "https://a b", "https://a?x",
    ])
  func badVault(text: String) {
    #expect(throws: DiscoveryError.self) { try VaultAddress(text) }
  }

  @Test("OpenBao's variables go before Vault's, the option before both")
  func vaultEnvironment() throws {
    let security = try OutboundSecurity.vault(
      environment: Environment([
        "VAULT_SKIP_VERIFY": "false", "BAO_SKIP_VERIFY": "true",
        "VAULT_TLS_SERVER_NAME": "vault:8200",
      ]), authorityFile: nil)
    #expect(!security.verifies)
    #expect(security.serverName == "vault")
    let error = try #require(throws: DiscoveryError.self) {
      try OutboundSecurity.vault(
        environment: Environment(["VAULT_CACERT": "/etc/passwd"]), authorityFile: "/nowhere/ca.pem")
    }
    #expect(
      error.message == "--vault-cacert: cannot read /nowhere/ca.pem: No such file or directory")
  }

  @Test("A source without nodes, with a node twice, or with a service that has no name")
  func sources() throws {
    #expect(throws: DiscoveryError.self) {
      try ProbeSource(addresses: [], security: OutboundSecurity())
    }
    let address = try VaultAddress("https://a")
    #expect(throws: DiscoveryError.self) {
      try ProbeSource(addresses: [address, address], security: OutboundSecurity())
    }
    let access = try ConsulAccess(address: "a:1", environment: Environment([:]))
    #expect(throws: DiscoveryError.self) {
      try ConsulSource(access: access, service: "", rules: SelectionRules())
    }
  }
}

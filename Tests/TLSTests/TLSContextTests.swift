import TLS
import Testing

@Suite struct TLSContextTests {
  private let fixtures: Fixtures

  init() throws {
    fixtures = try Fixtures.shared.get()
  }

  @Test(arguments: [
    ("--tls-ciphers", "NO-SUCH-CIPHER"), ("--tls-ciphersuites", "TLS_NO_SUCH_SUITE"),
    ("--tls-groups", "X25519:no_such_group"),
  ])
  func `names the option that holds what OpenSSL does not know`(option: String, value: String)
    throws
  {
    var policy = TLSPolicy.intermediate
    switch option {
    case "--tls-ciphers": policy.ciphers = value
    case "--tls-ciphersuites": policy.cipherSuites = value
    default: policy.groups = value
    }
    #expect(throws: TLSError.policy(option: option, value: value)) {
      _ = try fixtures.context(policy: policy)
    }
  }

  @Test func `a published context is the next one loaded`() throws {
    let (first, second) = (try fixtures.context(), try fixtures.context())
    let store = TLSContextStore(first)
    let generation = store.generation
    #expect(store.load() === first)
    store.publish(second)
    #expect(store.generation != generation)
    #expect(store.load() === second)
  }

  @Test func `says which library runs`() {
    #expect(openSSLVersionText().hasPrefix("OpenSSL 3."))
  }
}

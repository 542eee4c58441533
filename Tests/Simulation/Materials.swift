import COpenSSL
import Glibc
import TLS

/// What every world shares, because it is dear to make: certificates, and contexts of both sides.
@safe
final class Materials {
  /// Contexts of the server's to choose from: a short chain, and one that fills several segments.
  let short, long: TLSContext
  let optional, required: TLSContext
  let tickets: TicketKeyRing
  // Owned: freed in `deinit`; sessions hold references of their own.
  let client12, client13: OpaquePointer
  private let goodClient, badClient: Pair

  init() throws {
    guard let root = Pair("root", isAuthority: true),
      let leaf = Pair("localhost", issuer: root),
      let longLeaf = Pair("localhost", issuer: root, padding: 12_000),
      let clients = Pair("clients", isAuthority: true),
      let good = Pair("good", issuer: clients), let bad = Pair("bad"),
      let client12 = unsafe SSL_CTX_new(TLS_client_method()),
      let client13 = unsafe SSL_CTX_new(TLS_client_method())
    else { throw Violation("set-up", "OpenSSL makes no certificates") }
    (goodClient, badClient) = (good, bad)
    unsafe (self.client12, self.client13) = unsafe (client12, client13)
    unsafe copenssl_set_protocol_versions(client12, TLS1_2_VERSION, TLS1_2_VERSION)
    unsafe copenssl_set_protocol_versions(client13, TLS1_3_VERSION, TLS1_3_VERSION)
    unsafe ClientSession.logKeys(of: client12)
    unsafe ClientSession.logKeys(of: client13)
    // Records of many sizes: a length that does not divide the server's buffers shows where it
    // relies on one.
    unsafe SSL_CTX_set_block_padding(client13, 44)

    let directory = try Self.makeDirectory()
    defer {
      for name in Self.names { _ = unsafe unlink("\(directory)/\(name)") }
      _ = unsafe rmdir(directory)
    }
    guard leaf.write(to: "\(directory)/short", issuers: [root], withKey: true),
      longLeaf.write(to: "\(directory)/long", issuers: [root], withKey: true),
      clients.write(to: "\(directory)/clients")
    else { throw Violation("set-up", "certificates cannot be written to \(directory)") }
    _ = unsafe chmod("\(directory)/short", 0o600)
    _ = unsafe chmod("\(directory)/long", 0o600)
    let tickets = try TicketKeyRing()
    self.tickets = tickets
    func context(_ name: String, _ mode: ClientVerification.Mode? = nil) throws -> TLSContext {
      let path = "\(directory)/\(name)"
      return try TLSContext(
        credentials: [TLSCredentials(certificatePath: path, keyPath: path)], policy: .intermediate,
        clients: mode.map {
          ClientVerification(mode: $0, authoritiesPath: "\(directory)/clients")
        }, tickets: tickets)
    }
    short = try context("short")
    long = try context("long")
    optional = try context("short", .optional)
    required = try context("long", .required)
  }

  deinit {
    unsafe SSL_CTX_free(client12)
    unsafe SSL_CTX_free(client13)
  }

  private static let names = ["short", "long", "clients"]

  private static func makeDirectory() throws -> String {
    var template = Array("/tmp/simulation.XXXXXX".utf8CString)
    // mkdtemp changes the last six characters in place.
    guard unsafe mkdtemp(&template) != nil else {
      throw Violation("set-up", "no directory can be made in /tmp")
    }
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// What a client shows; nil for nothing.
  func clientPair(_ certificate: ClientCertificate) -> Pair? {
    switch certificate {
    case .none: nil
    case .good: goodClient
    case .bad: badClient
    }
  }
}

import COpenSSL
import Synchronization

/// The keys of session tickets, one ring for the whole process: contexts come and go with
/// certificates, and tickets stay good.
///
/// Its own keys: the newest encrypts, two older ones still decrypt. From a file: the last but one
/// encrypts and the last three decrypt, so that a key is known to a whole fleet before the first
/// ticket is made with it (HAProxy's `tls-ticket-keys`). A ticket of an older key resumes and is
/// replaced.
package final class TicketKeyRing: Sendable {
  /// How often the owner calls `rotate`. With two older keys a ticket is good for twice as long at
  /// least.
  package static let rotationInterval = Duration.seconds(12 * 3600)
  /// How long a client may keep a ticket, in seconds: twice the interval.
  static let ticketSeconds = 24 * 3600

  private struct Keys {
    var encrypting: TicketKey
    /// In the order they are tried.
    var decrypting: [TicketKey]
    var areFromFile = false
  }

  private let keys: Mutex<Keys>
  private let vectors = Mutex(TicketVectors())

  /// A ring with one random key.
  package init() throws(TLSError) {
    let key = try TicketKey.random()
    keys = Mutex(Keys(encrypting: key, decrypting: [key]))
  }

  /// Encrypts with a new random key from now on; does nothing where the keys are from a file.
  package func rotate() throws(TLSError) {
    let key = try TicketKey.random()
    keys.withLock { keys in
      if keys.areFromFile { return }
      keys.encrypting = key
      keys.decrypting = Array(([key] + keys.decrypting).prefix(3))
    }
  }

  /// Uses the keys of a file from now on.
  func replace(with file: TicketKeyFile) {
    keys.withLock { keys in
      keys = Keys(encrypting: file.encrypting, decrypting: file.decrypting, areFromFile: true)
    }
  }

  private var encrypting: TicketKey { keys.withLock { $0.encrypting } }

  /// The key a ticket names, and whether the ticket should be replaced by one of a newer key.
  private func decrypting(_ name: UnsafePointer<UInt8>) -> (key: TicketKey, isOld: Bool)? {
    let keys = self.keys.withLock { $0 }
    // The caller's name is as long as a name is.
    let key = keys.decrypting.first { unsafe $0.isNamed(name) }
    return key.map { ($0, $0 !== keys.encrypting) }
  }
}

// MARK: - As OpenSSL sees it

extension TicketKeyRing {
  /// Under this number a context holds one reference of its ring, as long as sessions hold the
  /// context.
  private static let index = unsafe copenssl_context_index { _, ring, _, _, _, _ in
    // What `install` put there, or nil in a context without.
    if let ring = unsafe ring { unsafe Unmanaged<TicketKeyRing>.fromOpaque(ring).release() }
  }

  /// Has `context` make and open its tickets with this ring's keys.
  func install(in context: OpaquePointer) throws(TLSError) {
    let reference = unsafe Unmanaged.passRetained(self)
    guard unsafe SSL_CTX_set_ex_data(context, Self.index, reference.toOpaque()) == 1 else {
      unsafe reference.release()
      throw .library(reason: "out of memory")
    }
    unsafe SSL_CTX_set_timeout(context, Self.ticketSeconds)
    guard unsafe SSL_CTX_set_tlsext_ticket_key_evp_cb(context, Self.prepare) == 1 else {
      throw .library(reason: "refused a ticket callback")
    }
  }

  /// OpenSSL's callback: 1 goes on, 2 goes on and replaces the ticket, 0 has a full handshake, -1
  /// fails.
  private static let prepare:
    @convention(c) (
      OpaquePointer?, UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<UInt8>?, OpaquePointer?,
      OpaquePointer?, Int32
    ) -> Int32 = { ssl, name, vector, cipher, mac, encrypts in
      // `install` put the ring there, and the session holds the context that holds it. OpenSSL
      // passes 16 bytes of name and of vector, to write when it encrypts and to read when it
      // decrypts.
      guard let ssl = unsafe ssl, let name = unsafe name, let vector = unsafe vector,
        let data = unsafe SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), index)
      else { return -1 }
      let ring = unsafe Unmanaged<TicketKeyRing>.fromOpaque(data).takeUnretainedValue()
      if encrypts == 1 {
        let key = ring.encrypting
        guard ring.vectors.withLock({ unsafe $0.take(into: vector) }),
          unsafe key.prepare(cipher: cipher, mac: mac, vector: vector, encrypts: true)
        else { return -1 }
        unsafe key.copyName(to: name)
        return 1
      }
      guard let (key, isOld) = unsafe ring.decrypting(name) else { return 0 }
      guard unsafe key.prepare(cipher: cipher, mac: mac, vector: vector, encrypts: false) else {
        return -1
      }
      // A TLS 1.3 client uses a ticket once, so that nobody can link its connections (RFC 8446
      // §C.4).
      return unsafe isOld || SSL_version(ssl) == TLSVersion.tls13.rawValue ? 2 : 1
    }
}

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

  /// Encrypts with a new random key from now on.
  ///
  /// - Returns: false where the keys are from a file, and stay.
  @discardableResult
  package func rotate() throws(TLSError) -> Bool {
    let key = try TicketKey.random()
    return keys.withLock { keys in
      if keys.areFromFile { return false }
      keys.encrypting = key
      keys.decrypting = Array(([key] + keys.decrypting).prefix(3))
      return true
    }
  }

  /// Uses the keys of a file from now on.
  ///
  /// - Returns: whether tickets are encrypted with another key than before.
  @discardableResult
  func replace(with file: TicketKeyFile) -> Bool {
    keys.withLock { keys in
      let isNew = !keys.encrypting.equals(file.encrypting)
      keys = Keys(encrypting: file.encrypting, decrypting: file.decrypting, areFromFile: true)
      return isNew
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
  /// Has `context` make and open its tickets with this ring's keys.
  func install(in context: OpaquePointer) throws(TLSError) {
    try unsafe ContextAttachment.tickets.attach(self, to: context)
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
      // OpenSSL passes 16 bytes of name and of vector, to write when it encrypts and to read when it
      // decrypts.
      guard let ssl = unsafe ssl, let name = unsafe name, let vector = unsafe vector,
        let ring = unsafe ContextAttachment.tickets.object(of: ssl, as: TicketKeyRing.self)
      else { return -1 }
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

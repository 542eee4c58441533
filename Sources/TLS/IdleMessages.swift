import COpenSSL

/// Counts what a client sends after the handshake that carries no data (key updates, attempts to renegotiate, alerts), and
/// ends the session at one too many, in the middle of whatever loop OpenSSL is in.
///
/// Records without any content are not seen here: OpenSSL itself fails at the 33rd of them in a row.
enum IdleMessages {
  /// Has OpenSSL call back from now on, once the handshake is over.
  static func watch(_ ssl: OpaquePointer) {
    // The callback is a C function that captures nothing, and lives as long as the program.
    unsafe SSL_set_info_callback(ssl) { ssl, event, _ in
      // One of these for each message of a handshake (a key update is one), and for each alert; a refused
      // renegotiation is an alert of ours.
      guard event & (SSL_CB_LOOP | SSL_CB_ALERT) != 0, let ssl = unsafe ssl else { return }
      let mayGoOn = unsafe WireBIO.withWire(SSL_get_rbio(ssl)) { $0.countIdleMessage() }
      if mayGoOn == true { return }
      // What OpenSSL has read already is thrown away from here on: the next look at a record ends its loop.
      let shutdown = unsafe SSL_get_shutdown(ssl)
      unsafe SSL_set_shutdown(ssl, shutdown | SSL_RECEIVED_SHUTDOWN)
    }
  }
}

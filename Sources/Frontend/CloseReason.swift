/// Why a connection ended: exactly one for each, a metric label, and at most one line of the log.
package enum CloseReason: Int, Sendable, CaseIterable {
  /// Closed without a byte of a request: a load balancer's check.
  case noData
  /// The client closed after its answers, or in the middle of a request.
  case endOfStream
  /// The client, or the limit of requests, asked for `Connection: close`.
  case answered
  /// Nothing came within the keep-alive time.
  case keepAliveTimeout
  /// An idle connection made room for a new one.
  case reclaimed
  /// The process is stopping.
  case drained
  /// The drain took too long.
  case drainTimeout
  case proxyHeaderTimeout
  /// The PROXY header was missing, malformed, or from an address that may send none.
  case proxyHeader
  case handshakeTimeout
  case handshakeFailed
  /// Its certificate was revoked, or its CA removed, since its handshake.
  case clientCertificate
  /// A TLS record that is none, or an alert, after the handshake.
  case tlsError
  /// Key updates, attempts to renegotiate, or alerts, more than any client needs.
  case tlsFlood
  case headTimeout
  /// The request was refused: malformed, too large, or not supported.
  case badRequest
  /// The body was longer, or came more slowly, than what is worth reading.
  case bodyTooLarge
  case bodyTimeout
  case writeTimeout
  /// The client went away while its request was held.
  case abandonedHold
  /// ECONNRESET, ETIMEDOUT and their like.
  case reset
  /// The client's address has too many connections already.
  case addressLimit
  /// It made us say more than it takes.
  case overflow
  /// A bug of ours that this connection came upon; the log names it.
  case internalError

  /// The value of the metric's label `reason`.
  package var label: String {
    switch self {
    case .noData: "no_data"
    case .endOfStream: "eof"
    case .answered: "answered"
    case .keepAliveTimeout: "keepalive"
    case .reclaimed: "reclaimed"
    case .drained: "shutdown"
    case .drainTimeout: "shutdown_timeout"
    case .proxyHeaderTimeout: "proxy_header_timeout"
    case .proxyHeader: "proxy_header"
    case .handshakeTimeout: "handshake_timeout"
    case .handshakeFailed: "handshake_failed"
    case .clientCertificate: "client_certificate"
    case .tlsError: "tls_error"
    case .tlsFlood: "tls_flood"
    case .headTimeout: "head_timeout"
    case .badRequest: "bad_request"
    case .bodyTooLarge: "body_too_large"
    case .bodyTimeout: "body_timeout"
    case .writeTimeout: "write_timeout"
    case .abandonedHold: "abandoned_hold"
    case .reset: "reset"
    case .addressLimit: "address_limit"
    case .overflow: "overflow"
    case .internalError: "internal_error"
    }
  }
}

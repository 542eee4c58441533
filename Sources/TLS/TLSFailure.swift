import COpenSSL
import Glibc

/// Why a session failed, in a fixed set of reasons for a metric and in words for a log.
///
/// It holds numbers only, so that making and passing one costs nothing; words are made when asked
/// for.
package struct TLSFailure: Error, Equatable, Sendable {
  /// The reasons; the raw value is the metric's label and does not change from version to version.
  package enum Reason: String, CaseIterable, Sendable {
    case httpRequest = "http_request"
    case proxyHeader = "proxy_header"
    case notTLS = "not_tls"
    case protocolVersion = "protocol_version"
    case noSharedCipher = "no_shared_cipher"
    case noSharedGroup = "no_shared_group"
    case noSharedSignature = "no_shared_signature"
    case noApplicationProtocol = "no_application_protocol"
    case unknownCA = "unknown_ca"
    case certificateExpired = "certificate_expired"
    case certificateRefused = "certificate_refused"
    case clientAlert = "client_alert"
    case clientCertificateMissing = "client_certificate_missing"
    case clientCertificateUntrusted = "client_certificate_untrusted"
    case clientCertificateExpired = "client_certificate_expired"
    case clientCertificateRevoked = "client_certificate_revoked"
    case clientCertificateRefused = "client_certificate_refused"
    case badRecord = "bad_record"
    case protocolViolation = "protocol_violation"
    case clientHelloTooLarge = "client_hello_too_large"
    case messageFlood = "message_flood"
    case sendQueueFull = "send_queue_full"
    case connectionReset = "connection_reset"
    case systemError = "system_error"
    case internalError = "internal_error"
  }

  /// The one reason, for whoever acts on it.
  package let reason: Reason
  /// What the words need besides the reason: an OpenSSL error, an `errno`, a version, a
  /// verification result.
  private let detail: UInt

  init(_ reason: Reason, detail: UInt = 0) {
    self.reason = reason
    self.detail = detail
  }

  /// The reason for a metric: one of a fixed set, in snake_case.
  package var label: String { reason.rawValue }

  /// The reason in an operator's words, without a full stop.
  package var message: String {
    switch reason {
    case .httpRequest: "plain HTTP on the TLS port"
    case .proxyHeader: "PROXY header where TLS was expected"
    case .notTLS: "what the client sent is not TLS"
    case .protocolVersion: "client offered only \(versionName)"
    case .noSharedCipher: "no shared cipher"
    case .noSharedGroup: "no shared key exchange group"
    case .noSharedSignature: "client accepts no signature our certificate can make"
    case .noApplicationProtocol: "client speaks other protocols than http/1.1 only (ALPN)"
    case .unknownCA: "client does not trust our CA (unknown ca)"
    case .certificateExpired: "client says our certificate has expired"
    case .certificateRefused: "client refuses our certificate (\(errorText))"
    case .clientAlert: "client gave up (\(errorText))"
    case .clientCertificateMissing: "client sent no certificate"
    case .clientCertificateUntrusted, .clientCertificateExpired, .clientCertificateRevoked,
      .clientCertificateRefused:
      "client certificate refused (\(verificationText))"
    case .badRecord: "a record is damaged or forged (\(errorText))"
    case .protocolViolation: "client broke the protocol (\(errorText))"
    case .clientHelloTooLarge: "client hello is longer, or has longer lists, than any client needs"
    case .messageFlood: "client sent too many messages without data"
    case .sendQueueFull: "client takes nothing of what it makes us send"
    case .connectionReset: "client reset the connection"
    case .systemError: systemErrorText
    case .internalError: "OpenSSL failed (\(errorText))"
    }
  }
}

extension TLSFailure: CustomStringConvertible {
  /// Label and message.
  package var description: String { "\(label): \(message)" }
}

// MARK: - From OpenSSL's errors

extension TLSFailure {
  /// The failure of a system call on the descriptor.
  init(systemError: Int32) {
    switch systemError {
    case ECONNRESET, EPIPE: self.init(.connectionReset)
    default: self.init(.systemError, detail: UInt(systemError))
    }
  }

  /// The failure behind `error`, the earliest in the queue; what is not in it is asked of `ssl`.
  init(_ error: OpenSSLError?, of ssl: OpaquePointer) {
    guard let error else {
      self.init(.internalError)
      return
    }
    if error.library == ERR_LIB_USER, let first = FirstRecord(rawValue: error.reason) {
      self.init(first.failureReason)
      return
    }
    guard error.library == ERR_LIB_SSL else {
      // Other libraries fail on what a peer sent (a point off its curve, a broken certificate) as
      // on want of memory.
      self.init(error.isFatal ? .internalError : .protocolViolation, detail: error.code)
      return
    }
    let reason = Self.reason(ofSSL: error.reason)
    switch reason {
    case .protocolVersion:
      self.init(reason, detail: UInt(unsafe SSL_client_version(ssl)))
    case .clientCertificateRefused:
      let result = unsafe SSL_get_verify_result(ssl)
      self.init(Self.reason(ofVerification: result), detail: UInt(bitPattern: result))
    default:
      self.init(reason, detail: error.code)
    }
  }

  private static func reason(ofSSL reason: Int32) -> Reason {
    // OpenSSL reports an alert received as a reason of this number and up.
    let firstAlert = Int32(SSL_AD_REASON_OFFSET)
    if (firstAlert...firstAlert + 255).contains(reason) {
      return Self.reason(ofAlert: reason - firstAlert)
    }
    return switch reason {
    case SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST: .httpRequest
    case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_VERSION_TOO_LOW, SSL_R_UNKNOWN_PROTOCOL:
      .protocolVersion
    case SSL_R_NO_SHARED_CIPHER, SSL_R_NO_CIPHERS_SPECIFIED: .noSharedCipher
    case SSL_R_NO_SUITABLE_KEY_SHARE, SSL_R_NO_SHARED_GROUPS, SSL_R_NO_SUITABLE_GROUPS:
      .noSharedGroup
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
      .noSharedSignature
    case SSL_R_NO_APPLICATION_PROTOCOL: .noApplicationProtocol
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: .clientCertificateMissing
    case SSL_R_CERTIFICATE_VERIFY_FAILED: .clientCertificateRefused
    case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, SSL_R_DECRYPTION_FAILED, SSL_R_BAD_RECORD_TYPE,
      SSL_R_WRONG_VERSION_NUMBER, SSL_R_PACKET_LENGTH_TOO_LONG, SSL_R_ENCRYPTED_LENGTH_TOO_LONG,
      SSL_R_DATA_LENGTH_TOO_LONG, SSL_R_RECORD_TOO_SMALL:
      .badRecord
    case SSL_R_LIBRARY_BUG, Int32(ERR_R_INTERNAL_ERROR), Int32(ERR_R_MALLOC_FAILURE): .internalError
    default: .protocolViolation
    }
  }

  /// The alerts a client refuses our certificate with (RFC 8446 §6.2).
  private static func reason(ofAlert alert: Int32) -> Reason {
    switch alert {
    case SSL_AD_UNKNOWN_CA: .unknownCA
    case SSL_AD_CERTIFICATE_EXPIRED: .certificateExpired
    case SSL_AD_BAD_CERTIFICATE, SSL_AD_UNSUPPORTED_CERTIFICATE, SSL_AD_CERTIFICATE_REVOKED,
      SSL_AD_CERTIFICATE_UNKNOWN:
      .certificateRefused
    default: .clientAlert
    }
  }

  private static func reason(ofVerification result: Int) -> Reason {
    switch Int32(truncatingIfNeeded: result) {
    case X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_CERT_NOT_YET_VALID: .clientCertificateExpired
    case X509_V_ERR_CERT_REVOKED: .clientCertificateRevoked
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
      X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
      X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, X509_V_ERR_CERT_SIGNATURE_FAILURE,
      X509_V_ERR_CERT_UNTRUSTED:
      .clientCertificateUntrusted
    default: .clientCertificateRefused
    }
  }
}

// MARK: - Words

extension TLSFailure {
  private var versionName: String {
    switch detail {
    case 0x0300: "SSL 3.0"
    case 0x0301: "TLS 1.0"
    case 0x0302: "TLS 1.1"
    case 0x0303: "TLS 1.2"
    default: "a version we do not speak"
    }
  }

  private var errorText: String { OpenSSLError(code: detail).text }

  private var verificationText: String {
    // A constant, null-terminated string for every number.
    unsafe String(cString: X509_verify_cert_error_string(Int(bitPattern: detail)))
  }

  private var systemErrorText: String {
    // A null-terminated string that stays until this thread calls strerror again.
    unsafe String(cString: strerror(Int32(truncatingIfNeeded: detail)))
  }
}

extension FirstRecord {
  fileprivate var failureReason: TLSFailure.Reason {
    switch self {
    case .httpRequest: .httpRequest
    case .proxyHeader: .proxyHeader
    case .notTLS: .notTLS
    }
  }
}

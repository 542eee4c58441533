import COpenSSL

/// The protocol versions this server speaks.
package enum TLSVersion: Int32, Comparable, Sendable, CaseIterable {
  case tls12 = 0x0303
  case tls13 = 0x0304

  /// `1.2` or `1.3`: for metrics, logs and options.
  package var label: String {
    switch self {
    case .tls12: "1.2"
    case .tls13: "1.3"
    }
  }

  /// The version an operator writes as `1.2` or `1.3`.
  package init?(label: String) {
    guard let version = Self.allCases.first(where: { $0.label == label }) else { return nil }
    self = version
  }

  package static func < (left: TLSVersion, right: TLSVersion) -> Bool {
    left.rawValue < right.rawValue
  }
}

/// What `--version` says of the library in use, which need not be the one compiled against:
/// `OpenSSL 3.0.19 27 Jan 2026`.
package func openSSLVersionText() -> String {
  // OpenSSL answers with a constant, null-terminated string.
  unsafe String(cString: OpenSSL_version(OPENSSL_VERSION))
}

/// Starts OpenSSL without its exit handler, which would free what workers and discovery still use
/// when `exit` is called beside them.
///
/// The first to start it decides, so the program calls this before anything else can; this module
/// does in any case.
package func startOpenSSL() {
  precondition(isOpenSSLStarted, "OpenSSL could not be started")
}

private let isOpenSSLStarted: Bool = {
  WipedMemory.install()
  return OPENSSL_init_ssl(UInt64(OPENSSL_INIT_NO_ATEXIT), nil) == 1
}()

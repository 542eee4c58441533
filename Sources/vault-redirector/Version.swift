import TLS

/// What this program is, for `--version`, the Server field and health.
enum Version {
  static let number = "1.0.0"
  static let sourceURL = "https://github.com/manheim/vault-redirector"

  /// What `--version` prints.
  static var text: String {
    """
    vault-redirector \(number)
    source: \(sourceURL)
    built with Swift \(swift), running with \(openSSLVersionText())
    """
  }

  /// The compiler's version, as far as the language tells a program.
  static var swift: String {
    #if compiler(>=6.4)
      "6.4 or newer"
    #else
      "6.3"
    #endif
  }
}

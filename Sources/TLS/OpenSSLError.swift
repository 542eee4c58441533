import COpenSSL

/// One entry of OpenSSL's per-thread error queue: a library number and a reason, packed.
struct OpenSSLError: Equatable {
  let code: UInt

  /// Takes the earliest error, the cause of those behind it, and empties the queue; nil where there
  /// was none.
  static func takeFirst() -> OpenSSLError? {
    let code = ERR_get_error()
    ERR_clear_error()
    return code == 0 ? nil : OpenSSLError(code: code)
  }

  /// Takes the latest error, which for PEM files tells the end of the file from damage, and empties
  /// the queue.
  static func takeLast() -> OpenSSLError? {
    let code = ERR_peek_last_error()
    ERR_clear_error()
    return code == 0 ? nil : OpenSSLError(code: code)
  }

  var library: Int32 { ERR_GET_LIB(code) }
  var reason: Int32 { ERR_GET_REASON(code) }

  func isReason(_ reason: Int32, of library: Int32) -> Bool {
    self.library == library && self.reason == reason
  }

  /// No memory, or a bug: nothing a peer or a file could cause.
  var isFatal: Bool { Int(reason) & (ERR_RFLAG_FATAL) != 0 }

  /// OpenSSL's own words, or the number where it has none.
  var text: String {
    // A constant, null-terminated string, or nil.
    guard let words = unsafe ERR_reason_error_string(code) else {
      return "error \(String(code, radix: 16))"
    }
    return unsafe String(cString: words)
  }
}

import Glibc

/// A system call that failed: which one, and its errno.
package struct SystemError: Error, Hashable, CustomStringConvertible {
  /// The errno; never 0.
  package let code: Int32
  /// The call's name in section 2 of the manual.
  package let call: String

  package init(_ call: String, code: Int32) {
    self.call = call
    self.code = code
  }

  /// `bind: Address already in use`
  package var description: String { "\(call): \(Self.text(of: code))" }

  /// The C library's words for an errno.
  package static func text(of code: Int32) -> String {
    // The buffer is larger than any message of glibc, and strerror_r ends what it writes with a NUL.
    var buffer = [CChar](repeating: 0, count: 256)
    guard unsafe strerror_r(code, &buffer, buffer.count) == 0 else { return "error \(code)" }
    return String(untilNUL: buffer)
  }
}

extension String {
  /// What stands in a C buffer before its first NUL.
  package init(untilNUL buffer: [CChar]) {
    self.init(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

/// Runs a call that returns -1 on failure, again when a signal interrupts it.
@inline(__always)
func systemCall<Result: FixedWidthInteger>(
  _ name: StaticString, _ body: () -> Result
) throws(SystemError) -> Result {
  while true {
    let result = body()
    if result != -1 { return result }
    let code = errno
    if code != EINTR { throw SystemError("\(name)", code: code) }
  }
}

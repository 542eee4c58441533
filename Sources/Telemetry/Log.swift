package import Logging

/// swift-log's logger, so that the floors above need not import it.
package typealias Log = Logging.Logger

extension Logging.Logger {
  /// A logger that writes logfmt lines of `level` and above.
  package static func logfmt(_ writer: LogWriter, level: Level) -> Logging.Logger {
    Logging.Logger(label: "vault-redirector") { _ in LogfmtHandler(writer: writer, level: level) }
  }
}

/// Renders records of swift-log as logfmt lines and hands them to a `LogWriter`.
package struct LogfmtHandler: LogHandler {
  package var metadata: Logging.Logger.Metadata = [:]
  package var logLevel: Logging.Logger.Level
  private let writer: LogWriter

  package init(writer: LogWriter, level: Logging.Logger.Level) {
    self.writer = writer
    logLevel = level
  }

  package subscript(metadataKey key: String) -> Logging.Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  package func log(event: LogEvent) {
    guard writer.isEnabled else { return }
    var line = LogLine(level: event.level, message: event.message.description)
    let merged = metadata.merging(event.metadata ?? [:]) { $1 }
    for (key, value) in merged.sorted(by: { $0.key < $1.key }) {
      line.append(key, value.description)
    }
    writer.write(line)
  }
}

/// One line of the log, as `key=value` pairs (logfmt): a value with anything but printable, unquoted ASCII is quoted, and
/// control bytes in it are escaped, so that no peer can forge a line.
package struct LogLine {
  /// A line is cut at so many bytes: a pipe takes that many in one piece (PIPE_BUF, pipe(7)).
  package static let bytesMax = 4096 - 64

  package let level: Logging.Logger.Level
  package private(set) var bytes: [UInt8] = []

  package init(level: Logging.Logger.Level, message: String) {
    self.level = level
    bytes.reserveCapacity(256)
    append("level", level.rawValue)
    append("msg", message)
  }

  /// Adds a pair; a key is one of ours and needs no escaping.
  package mutating func append(_ key: String, _ value: String) {
    if !bytes.isEmpty { bytes.append(UInt8(ascii: " ")) }
    bytes.append(contentsOf: key.utf8)
    bytes.append(UInt8(ascii: "="))
    if !value.isEmpty, value.utf8.allSatisfy(Self.isPlain) {
      bytes.append(contentsOf: value.utf8)
      return
    }
    bytes.append(UInt8(ascii: "\""))
    for byte in value.utf8 { appendEscaped(byte) }
    bytes.append(UInt8(ascii: "\""))
  }

  private mutating func appendEscaped(_ byte: UInt8) {
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"):
      bytes.append(UInt8(ascii: "\\"))
      bytes.append(byte)
    case 0x20...0x7E, 0x80...:
      bytes.append(byte)
    default:
      let digits = Array("0123456789abcdef".utf8)
      bytes.append(contentsOf: "\\x".utf8)
      bytes.append(digits[Int(byte >> 4)])
      bytes.append(digits[Int(byte & 15)])
    }
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "="), UInt8(ascii: "\\"): false
    case 0x21...0x7E: true
    default: false
    }
  }
}

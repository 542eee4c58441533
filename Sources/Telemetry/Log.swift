package import Logging

/// swift-log's logger, so that the floors above need not import it.
package typealias Log = Logging.Logger

extension Logging.Logger {
  /// A logger that writes logfmt lines of `level` and above.
  package static func logfmt(_ writer: LogWriter, level: Level) -> Logging.Logger {
    Logging.Logger(label: "vault-redirector") { _ in LogfmtHandler(writer: writer, level: level) }
  }

  /// A logger that says nothing.
  package static var silent: Logging.Logger {
    Logging.Logger(label: "vault-redirector") { _ in SwiftLogNoOpLogHandler() }
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
/// controls in it are escaped, those of Unicode too, which hide text or turn its direction, so that no peer can forge a
/// line. It never outgrows `bytesMax`: a value that would is clipped, with `...` for what is missing and its quote closed,
/// and a pair for which there is no room is left out.
package struct LogLine {
  /// A line has so many bytes at most: a pipe takes that many in one piece, time and newline included (PIPE_BUF, pipe(7)).
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
  ///
  /// - Parameter clip: the most bytes of the value, escaped, that are shown.
  package mutating func append(_ key: String, _ value: String, clip: Int = .max) {
    // A space, the equals sign, two quotes, three dots.
    let room = min(clip, Self.bytesMax - bytes.count - key.utf8.count - 7)
    if room < min(value.utf8.count, 8) { return }
    if !bytes.isEmpty { bytes.append(UInt8(ascii: " ")) }
    bytes.append(contentsOf: key.utf8)
    bytes.append(UInt8(ascii: "="))
    if !value.isEmpty, value.utf8.count <= room, value.utf8.allSatisfy(Self.isPlain) {
      bytes.append(contentsOf: value.utf8)
      return
    }
    bytes.append(UInt8(ascii: "\""))
    let start = bytes.count
    for scalar in value.unicodeScalars {
      let before = bytes.count
      let isHidden = Self.isHidden(scalar)
      for byte in UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter {
        appendEscaped(byte, isHidden: isHidden)
      }
      if bytes.count - start > room {
        bytes.removeLast(bytes.count - before)
        bytes.append(contentsOf: "...".utf8)
        break
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }

  /// Does something to what stands around it, beyond ASCII.
  private static func isHidden(_ scalar: Unicode.Scalar) -> Bool {
    guard !scalar.isASCII else { return false }
    return switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned: true
    default: false
    }
  }

  private mutating func appendEscaped(_ byte: UInt8, isHidden: Bool) {
    switch byte {
    case _ where isHidden: appendDigits(byte)
    case UInt8(ascii: "\""), UInt8(ascii: "\\"):
      bytes.append(UInt8(ascii: "\\"))
      bytes.append(byte)
    case 0x20...0x7E, 0x80...:
      bytes.append(byte)
    default: appendDigits(byte)
    }
  }

  private mutating func appendDigits(_ byte: UInt8) {
    let digits = Array("0123456789abcdef".utf8)
    bytes.append(contentsOf: "\\x".utf8)
    bytes.append(digits[Int(byte >> 4)])
    bytes.append(digits[Int(byte & 15)])
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "="), UInt8(ascii: "\\"): false
    case 0x21...0x7E: true
    default: false
    }
  }
}

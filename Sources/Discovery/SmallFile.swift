import Glibc
import Sys

/// Files that an option names: read whole, and never more than `bytesMax` of them.
enum SmallFile {
  /// The most bytes that are read: 1 MiB, the bound of systemd's credentials too.
  static let bytesMax = 1 << 20

  /// - Throws: `.unreadable` with the system's own words, `.unfit` for a larger file.
  static func read(_ path: String, option: String) throws(DiscoveryError) -> String {
    do {
      let contents = try FileContents(path: path, bytesMax: bytesMax)
      return contents.withBytes { bytes in
        String(decoding: bytes.indices.map { bytes[$0] }, as: UTF8.self)
      }
    } catch {
      switch error {
      case .unreadable(let code):
        throw .unreadable(option: option, path: path, reason: SystemError.text(of: code))
      case .notRegular(let kind):
        throw .unreadable(option: option, path: path, reason: "it is \(kind), not a regular file")
      case .tooLarge:
        throw .unfit(option: option, path: path, reason: "larger than \(bytesMax) bytes")
      }
    }
  }

  /// The one line of a token file, without white space around it.
  static func readToken(_ path: String, option: String) throws(DiscoveryError) -> String {
    let token = trimmed(try read(path, option: option)[...])
    guard !token.isEmpty else {
      throw .unfit(option: option, path: path, reason: "the file is empty; put the token into it")
    }
    guard isFieldValue(token) else {
      throw .unfit(
        option: option, path: path, reason: "the token has bytes that no HTTP field may have")
    }
    return token
  }

  /// That `path` is a readable file with a PEM block whose name ends with `kind`, and that each such block is base64 of
  /// what begins like DER (RFC 7468): libcurl would say so only when it first connects.
  static func checkPEM(_ path: String, kind: String, option: String) throws(DiscoveryError) {
    func unfit(_ reason: String) -> DiscoveryError {
      .unfit(option: option, path: path, reason: reason)
    }
    let text = try read(path, option: option)
    var content: String?
    var found = 0
    for line in text.split(whereSeparator: \.isNewline).map({ trimmed($0) }) {
      if line.hasPrefix("-----BEGIN "), line.hasSuffix("\(kind)-----") {
        content = ""
      } else if line.hasPrefix("-----END "), let block = content {
        guard isEncodedDER(block) else { throw unfit("a PEM block \"\(kind)\" in it is damaged") }
        found += 1
        content = nil
      } else if let block = content {
        content = block + line
      }
    }
    guard content == nil else { throw unfit("a PEM block \"\(kind)\" in it has no end") }
    guard found > 0 else { throw unfit("there is no PEM block \"\(kind)\" in it") }
  }

  /// Base64 of a SEQUENCE, as every certificate and key is.
  private static func isEncodedDER(_ text: String) -> Bool {
    let digits = text.utf8.reversed().drop { $0 == UInt8(ascii: "=") }
    return text.utf8.count % 4 == 0 && text.utf8.count - digits.count <= 2
      && text.hasPrefix("M")
      && digits.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"):
          true
        default: false
        }
      }
  }

  static func checkDirectory(_ path: String, option: String) throws(DiscoveryError) {
    guard let directory = unsafe opendir(path) else {
      throw .unreadable(option: option, path: path, reason: SystemError.text(of: errno))
    }
    unsafe closedir(directory)
  }
}

/// Visible ASCII and spaces within (RFC 9110 §5.5): nothing that would end a field and begin another.
func isFieldValue(_ text: String) -> Bool {
  text.utf8.allSatisfy { $0 >= 0x20 && $0 <= 0x7e }
}

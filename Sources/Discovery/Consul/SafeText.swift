import FoundationEssentials

/// A text from outside in which no part of a secret is left: the only form in which Consul's words reach a log, health or an error.
///
/// Masked before it is cut, since a cut can leave a part of a token that the whole would not be found in; and parts are masked as
/// well, since whoever quotes may cut too.
struct SafeText: Equatable, Sendable {
  /// Printable ASCII on one line, without query strings, of at most `DiscoveryStatus.errorBytesMax` bytes.
  let text: String

  /// What is looked at of a text; the rest is dropped.
  private static let bytesMax = 4096
  /// A part of a secret that is shorter says nothing of it, and words would be taken for it.
  private static let partMin = 5

  init(_ raw: some Sequence<UInt8>, hiding secrets: [String]) {
    let bytes = Array(raw.prefix(Self.bytesMax))
    let isHidden = Self.hidden(bytes, secrets.map { Array($0.lowercased().utf8) })
    var shown: [UInt8] = []
    for index in bytes.indices {
      if !isHidden[index] {
        shown.append(bytes[index])
      } else if index == 0 || !isHidden[index - 1] {
        shown += "[token]".utf8
      }
    }
    text = sanitized(String(decoding: shown, as: UTF8.self))
  }

  init(_ raw: String, hiding secrets: [String]) {
    self.init(raw.utf8, hiding: secrets)
  }

  /// Which bytes belong to a part of a secret, in any letter case: a whole one, or as much of one as stands there.
  private static func hidden(_ bytes: [UInt8], _ secrets: [[UInt8]]) -> [Bool] {
    let text = bytes.map { (0x41...0x5a).contains($0) ? $0 + 0x20 : $0 }
    var isHidden = [Bool](repeating: false, count: text.count)
    for secret in secrets where !secret.isEmpty {
      let part = min(partMin, secret.count)
      // The places of each part of that length; a run of text that goes on along the secret is hidden as a whole.
      var places: [ArraySlice<UInt8>: Bool] = [:]
      for start in 0...(secret.count - part) { places[secret[start..<start + part]] = true }
      guard text.count >= part else { continue }
      for start in 0...(text.count - part) where places[text[start..<start + part]] == true {
        for index in start..<start + part { isHidden[index] = true }
      }
    }
    return isHidden
  }
}

/// Everything that no text may show: tokens, old ones too, and passwords, also as they travel.
struct ConsulSecrets: Equatable, Sendable {
  private(set) var texts: [String] = []

  init(credentials: String?) {
    guard let credentials else { return }
    let password = credentials.drop { $0 != ":" }.dropFirst()
    add(String(password))
    // As it travels (RFC 7617 §2).
    add(Data(credentials.utf8).base64EncodedString())
  }

  /// Adds a token and what it looks like in a URL. Tokens that were in force stay secret: the last few.
  mutating func add(_ secret: String?) {
    guard let secret, !secret.isEmpty, !texts.contains(secret) else { return }
    texts.append(secret)
    let encoded = percentEncoded(secret)
    if encoded != secret { texts.append(encoded) }
    if texts.count > Self.countMax { texts.removeFirst(texts.count - Self.countMax) }
  }

  private static let countMax = 32
}

/// What a client connects to.
enum Target: Int, CaseIterable {
  case plain, encrypted, certified, proxied, proxiedEncrypted, admin

  var isEncrypted: Bool { self == .encrypted || self == .certified || self == .proxiedEncrypted }
  var isProxied: Bool { self == .proxied || self == .proxiedEncrypted }
}

/// The certificate that a client shows.
enum ClientCertificate {
  case none, good, bad
}

/// The PROXY header that stands before a client's bytes.
enum ProxyKind: Int, CaseIterable {
  case line4, line6, binary6, binary4, local, unknown, bad, missing

  var isValid: Bool { self != .bad && self != .missing }
}

/// How a client connects, out of two bytes.
struct ConnectOptions: CustomStringConvertible {
  let target: Target
  let proxy: ProxyKind
  /// Which of four addresses it comes from.
  let source: UInt8
  let hasTinyWindow, isTLS12, resumes: Bool
  let certificate: ClientCertificate
  let gate: Gate
  /// It speaks plain HTTP, whatever the listener expects.
  let isPlain: Bool

  init(_ a: UInt8, _ b: UInt8) {
    let targets: [Target] = [
      .plain, .encrypted, .certified, .proxied, .proxiedEncrypted, .admin, .plain, .encrypted,
    ]
    target = targets[Int(a & 7)]
    proxy = ProxyKind.allCases[Int(a >> 3) % ProxyKind.allCases.count]
    source = a >> 6
    hasTinyWindow = b & 1 != 0
    isTLS12 = b & 2 != 0
    resumes = b & 4 != 0
    let certificates: [ClientCertificate] = [.none, .good, .bad, .good]
    certificate = certificates[Int(b >> 3 & 3)]
    gate = Gate(rawValue: (b & 0x20 != 0 ? 2 : 0) | (b & 0x40 != 0 ? 4 : 0))
    isPlain = b & 0x80 != 0
  }

  /// The client speaks TLS.
  var speaksTLS: Bool { target.isEncrypted && !isPlain }

  var description: String {
    var words = ["\(target)", "from 127.0.0.\(2 + source)"]
    if target.isProxied { words.append("PROXY \(proxy)") }
    if hasTinyWindow { words.append("tiny window") }
    if target.isEncrypted {
      words.append(isPlain ? "speaks plain HTTP" : isTLS12 ? "TLS 1.2" : "TLS 1.3")
      if resumes { words.append("resumes") }
      if certificate != .none { words.append("\(certificate) certificate") }
    }
    if !gate.isEmpty { words.append("\(gate)") }
    return words.joined(separator: ", ")
  }

  /// The PROXY header; empty where none stands there.
  ///
  /// - Parameter port: of the client it speaks for.
  func proxyHeader(port: UInt16) -> [UInt8] {
    guard target.isProxied else { return [] }
    switch proxy {
    case .line4:
      return Array("PROXY TCP4 192.0.2.\(source) 198.51.100.1 \(port) 443\r\n".utf8)
    case .line6:
      // Neighbours in one /64.
      return Array("PROXY TCP6 2001:db8::\(source + 1) 2001:db8:1::1 \(port) 443\r\n".utf8)
    case .unknown: return Array("PROXY UNKNOWN\r\n".utf8)
    case .bad: return Array("PROXY TCP4 192.0.2.300 198.51.100.1 \(port) 443\r\n".utf8)
    case .missing: return []
    case .binary4:
      // With a TLV that means nothing: the header is longer than what follows it.
      let filling = [4, 0, 200] + [UInt8](repeating: 0, count: 200)
      return binary(0x21, 0x11, [192, 0, 2, source, 198, 51, 100, 1] + ports(port) + filling)
    case .binary6:
      let network: [UInt8] = [0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0]
      let client = network + [0, 0, 0, 0, 0, 0, 0, source + 1]
      return binary(0x21, 0x21, client + network + [0, 0, 0, 0, 0, 0, 0, 9] + ports(port))
    case .local: return binary(0x20, 0x00, [])
    }
  }

  private func ports(_ port: UInt16) -> [UInt8] { [UInt8(port >> 8), UInt8(port & 0xFF), 1, 187] }

  private func binary(_ command: UInt8, _ family: UInt8, _ rest: [UInt8]) -> [UInt8] {
    [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A, command, family, 0]
      + [UInt8(rest.count)] + rest
  }
}

/// Bytes that are no request and no TLS.
enum RawKind: Int, CaseIterable {
  case noise, plainRequest, alert, zeros, record, lines, sslv2, proxyLine

  init(_ byte: UInt8) { self = Self.allCases[Int(byte) % Self.allCases.count] }

  func bytes(_ size: UInt8) -> [UInt8] {
    let count = Int(size) + 1
    switch self {
    case .noise: return (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ 13) }
    case .plainRequest: return Array("GET /v1/plain HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
    case .alert: return [0x15, 3, 3, 0, 2, 2, size]
    case .zeros: return [UInt8](repeating: 0, count: count * 64)
    case .record: return [0x17, 3, 3, 0, size] + [UInt8](repeating: 7, count: Int(size))
    case .lines: return Array(repeatElement(Array("\r\n".utf8), count: count).joined())
    case .sslv2: return [0x80, 0x2E, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10, 1, 0, 0x80]
    case .proxyLine: return Array("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n".utf8)
    }
  }
}

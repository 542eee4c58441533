/// What a client asks, well or badly.
enum RequestKind: UInt8, CaseIterable {
  case get, head, post, chunked, bigPost, healthGet, healthHead, close, http10, http10KeepAlive
  case expect, longBody, longChunks, badChunk, healthPost, absolute, longTarget, loopHost
  case method, asterisk, fragment, targetByte, version, version2, bareLineFeed, folded, noHost
  case twoHosts, twoLengths, unknownCoding, unknownExpectation, manyFields, longHead, endless

  /// The first kinds, which are served, are more likely than those that end the connection.
  init(_ byte: UInt8) {
    let all = Self.allCases
    self = byte < 128 ? all[Int(byte) % 10] : all[Int(byte) % all.count]
  }
}

/// What a request deserves.
enum Outcome: Equatable {
  /// 307 to a node that was active since the request was sent; 503 where none was.
  case redirect
  /// 508 where this node is active, else as `redirect`.
  case loop(UInt8)
  case health
  /// 405, and the connection stays.
  case healthRefused
  /// 200, with the target in its body.
  case echo
  /// An error that ends the connection.
  case refused(Int)
}

/// A request as it was written, and what it deserves.
struct Expectation {
  var target: [UInt8] = []
  var outcome = Outcome.redirect
  var isHead = false
  var keepsAlive = true
  /// Where it begins in what the client said, before encryption.
  var start = 0
  /// Where its head ends in what the client said, before encryption.
  var headEnd = 0
  /// Where that ended on the wire; nil until it was sealed.
  var wireEnd: Int?
  /// The last publication when its last byte was sent; nil until it was.
  var generation: Int?
  /// And the server had decided to end the connection by then.
  var cameTooLate = false
}

/// Writes requests, each with a target of its own.
struct RequestWriter {
  let settings: Settings
  /// The listener has the responder that echoes.
  let isAdmin: Bool

  /// - Parameter serial: in the target, and in no other of this world.
  func write(
    _ kind: RequestKind, serial: String, size: UInt8, into bytes: inout [UInt8]
  ) -> (expectation: Expectation, isLast: Bool) {
    var request = Request(kind, serial: serial, size: size, settings: settings)
    request.expectation.start = bytes.count
    request.expectation.headEnd = bytes.count + request.head.count
    bytes += request.head
    bytes += request.body
    if isAdmin { request.expectation.adaptToAdmin() }
    return (request.expectation, request.isLast)
  }
}

extension Expectation {
  fileprivate mutating func adaptToAdmin() {
    switch outcome {
    case .refused: break
    default: outcome = .echo
    }
  }
}

/// One request being put together.
private struct Request {
  var head: [UInt8] = []
  var body: [UInt8] = []
  var expectation = Expectation()
  /// Nothing behind it is answered.
  var isLast = false

  private var line = ""
  private var fields = "Host: vault.example\r\n"

  init(_ kind: RequestKind, serial: String, size: UInt8, settings: Settings) {
    let path = "/v1/\(serial)"
    expectation.target = Array(path.utf8)
    line = "GET \(path) HTTP/1.1"
    switch kind {
    case .get, .head, .close, .http10, .http10KeepAlive, .absolute, .longTarget, .loopHost:
      shape(kind, path, size, settings)
    case .healthGet, .healthHead, .healthPost: askHealth(kind)
    case .post, .chunked, .bigPost, .expect, .longBody, .longChunks, .badChunk:
      addBody(kind, path, size, settings)
    default: spoil(kind, path, settings)
    }
    head = Array("\(line)\r\n\(fields)\r\n".utf8)
    if case .bareLineFeed = kind { head = Array("\(line)\n\(fields)\r\n".utf8) }
    if case .endless = kind { head = Array("\(line)\r\n\(fields)".utf8) + head }
    if !expectation.keepsAlive { isLast = true }
  }

  private mutating func shape(
    _ kind: RequestKind, _ path: String, _ size: UInt8, _ settings: Settings
  ) {
    switch kind {
    case .head:
      line = "HEAD \(path) HTTP/1.1"
      expectation.isHead = true
    case .close:
      fields += "Connection: close\r\n"
      expectation.keepsAlive = false
    case .http10:
      line = "GET \(path) HTTP/1.0"
      expectation.keepsAlive = false
    case .http10KeepAlive:
      line = "GET \(path) HTTP/1.0"
      fields += "Connection: keep-alive\r\n"
    case .absolute:
      line = "GET http://other.example\(path) HTTP/1.1"
    case .longTarget:
      let long = path + "?q=" + String(repeating: "a", count: 200 + Int(size) * 40)
      expectation.target = Array(long.utf8)
      line = "GET \(long) HTTP/1.1"
      if settings.hasShortHeads { refuse(414) }
    case .loopHost:
      let node = size % 4
      fields = "Host: node-\(node).example:8200\r\n"
      expectation.outcome = .loop(node)
    default: break
    }
  }

  private mutating func askHealth(_ kind: RequestKind) {
    let method = kind == .healthGet ? "GET" : kind == .healthHead ? "HEAD" : "POST"
    let path = "/vault-redirector-health"
    line = "\(method) \(path) HTTP/1.1"
    expectation.target = Array(path.utf8)
    expectation.isHead = kind == .healthHead
    expectation.outcome = kind == .healthPost ? .healthRefused : .health
  }

  private mutating func addBody(
    _ kind: RequestKind, _ path: String, _ size: UInt8, _ settings: Settings
  ) {
    line = "PUT \(path) HTTP/1.1"
    var length = kind == .post ? Int(size) * 8 : kind == .expect ? 10 : Int(size & 31) + 1
    let isLong = kind == .longBody || kind == .longChunks
    if kind == .bigPost {
      length = min(Int(settings.discardBytesMax), 2048 * (Int(size) + 1))
    }
    if isLong { length = Int(settings.discardBytesMax) + 1 + Int(size) * 16 }
    let data = [UInt8](repeating: UInt8(ascii: "x"), count: length)
    switch kind {
    case .post, .bigPost, .longBody, .expect:
      fields += "Content-Length: \(length)\r\n"
      body = data
      expectation.keepsAlive = UInt64(length) <= settings.discardBytesMax
      guard kind == .expect, length > 0 else { return }
      fields += "Expect: 100-continue\r\n"
      expectation.keepsAlive = false
      body = []
    default:
      fields += "Transfer-Encoding: chunked\r\n"
      let mark = kind == .badChunk ? "X" : "\r\n"
      body = Array("\(String(length, radix: 16))\r\n".utf8) + data + Array("\(mark)0\r\n\r\n".utf8)
      isLast = kind != .chunked
    }
  }

  private mutating func refuse(_ status: Int) {
    expectation.outcome = .refused(status)
    isLast = true
  }

  private mutating func spoil(_ kind: RequestKind, _ path: String, _ settings: Settings) {
    refuse(400)
    switch kind {
    case .method:
      line = "CONNECT \(path) HTTP/1.1"
      refuse(405)
    case .asterisk: line = "OPTIONS * HTTP/1.1"
    case .fragment: line = "GET \(path)#a HTTP/1.1"
    case .targetByte: line = "GET \(path)\u{7F} HTTP/1.1"
    case .version: line = "GET \(path) HTTQ/1.1"
    case .version2:
      line = "GET \(path) HTTP/2.0"
      refuse(505)
    case .folded: fields += " folded\r\n"
    case .noHost: fields = "Accept: */*\r\n"
    case .twoHosts: fields += "Host: vault.example\r\n"
    case .twoLengths: fields += "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"
    case .unknownCoding:
      fields += "Transfer-Encoding: gzip\r\n"
      refuse(501)
    case .unknownExpectation:
      fields += "Expect: the-unexpected\r\n"
      refuse(417)
    case .manyFields:
      fields += String(repeating: "A: b\r\n", count: settings.limits.message.fieldsMax)
      refuse(431)
    case .longHead, .endless:
      let most = settings.limits.message.headBytesMax
      fields += "A: \(String(repeating: "a", count: most))\r\n"
      refuse(431)
    default: break
    }
  }
}

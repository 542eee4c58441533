import COpenSSL
import Glibc

/// The client's side of TLS, between two buffers in memory: what it sends can be cut anywhere on
/// its way.
@safe
final class ClientSession {
  /// What became of a read.
  enum Read: Equatable {
    case bytes(Int)
    case later
    /// close_notify came.
    case closed
    /// An alert came, or what stands for one.
    case refused
    /// What came is no TLS: the server's fault.
    case broken(String)
  }

  // Owned: freed in `deinit`, the two BIOs together with the session that they belong to.
  private let ssl: OpaquePointer
  private let source: OpaquePointer
  private let sink: OpaquePointer
  private(set) var isOpen = false
  /// What the handshake had to say last; the records behind it are counted.
  private var lastFlight: [UInt8] = []
  private var records: UInt64 = 0
  /// Lines of OpenSSL's key log.
  private var keyLog: [String] = []
  /// Makes the records from its first one on.
  private(set) var forge: RecordForge?
  private let isTLS12: Bool
  /// OpenSSL has changed no keys of its own.
  private var mayForge = true

  /// - Parameter ticket: a session to resume; nil for a full handshake.
  init?(_ materials: Materials, _ options: ConnectOptions, ticket: Ticket?) {
    let context = unsafe options.isTLS12 ? materials.client12 : materials.client13
    // Whoever of the three is missing, there is no memory left, and the run is over anyway.
    guard let ssl = unsafe SSL_new(context), let source = unsafe BIO_new(BIO_s_mem()),
      let sink = unsafe BIO_new(BIO_s_mem())
    else { return nil }
    unsafe (self.ssl, self.source, self.sink) = unsafe (ssl, source, sink)
    unsafe SSL_set_bio(ssl, source, sink)
    unsafe SSL_set_connect_state(ssl)
    isTLS12 = options.isTLS12
    // The session does not outlive this object.
    unsafe SSL_set_ex_data(ssl, 0, Unmanaged.passUnretained(self).toOpaque())
    if let pair = materials.clientPair(options.certificate) {
      // The session takes references of its own.
      unsafe SSL_use_certificate(ssl, pair.certificate)
      unsafe SSL_use_PrivateKey(ssl, pair.key)
    }
    if let ticket { unsafe SSL_set_session(ssl, ticket.session) }
  }

  deinit {
    unsafe SSL_free(ssl)
  }

  /// Takes bytes of the server's.
  func receive(_ bytes: ArraySlice<UInt8>) {
    // BIO_write copies the slice, which is readable for the length of the call.
    unsafe bytes.withUnsafeBufferPointer { buffer in
      _ = unsafe BIO_write(source, buffer.baseAddress, Int32(buffer.count))
    }
  }

  /// Takes the handshake as far as it goes.
  func handshake() -> Read {
    ERR_clear_error()
    let result = unsafe SSL_do_handshake(ssl)
    if result == 1 {
      takeOutput(into: &lastFlight)
      isOpen = true
      return .bytes(0)
    }
    return explain(result)
  }

  func read(into bytes: inout [UInt8]) -> Read {
    ERR_clear_error()
    // At most as many bytes as the array has are written.
    let count = Int32(bytes.count)
    let result = unsafe bytes.withUnsafeMutableBytes { buffer in
      unsafe SSL_read(ssl, buffer.baseAddress, count)
    }
    return result > 0 ? .bytes(Int(result)) : explain(result)
  }

  /// Encrypts all of it; what does not work any more after a failure is left out.
  func write(_ bytes: ArraySlice<UInt8>) {
    guard !bytes.isEmpty else { return }
    if let forge { return lastFlight += forge.data(bytes) }
    ERR_clear_error()
    // As in `receive`; a sink in memory takes everything.
    unsafe bytes.withUnsafeBufferPointer { buffer in
      _ = unsafe SSL_write(ssl, buffer.baseAddress, Int32(buffer.count))
    }
  }

  /// New keys of ours, `count` times in a row.
  func updateKeys(_ count: Int, asks: Bool) {
    if let forge {
      let kind = asks ? ForgedKind.keyUpdateAsking : .keyUpdate
      return lastFlight += kind.records(count, by: forge)
    }
    mayForge = false
    ERR_clear_error()
    for _ in 0..<count {
      guard
        unsafe SSL_key_update(ssl, asks ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED)
          == 1
      else { break }
      _ = unsafe SSL_do_handshake(ssl)
    }
  }

  /// A new handshake, as TLS 1.2 has it.
  func renegotiate() {
    mayForge = false
    if forge != nil { return }
    ERR_clear_error()
    if unsafe SSL_renegotiate(ssl) == 1 { _ = unsafe SSL_do_handshake(ssl) }
  }

  func closeNotify() {
    if let forge { return lastFlight += forge.record(21, [1, 0]) }
    ERR_clear_error()
    if isOpen { _ = unsafe SSL_shutdown(ssl) }
  }

  /// What is to be sent now.
  func takeOutput(into bytes: inout [UInt8]) {
    let start = bytes.count
    readSink(into: &bytes)
    guard isOpen else { return }
    // OpenSSL's own records would not fit behind forged ones.
    if forge != nil { bytes.removeLast(bytes.count - start) }
    countRecords(bytes[start...])
    bytes.insert(contentsOf: lastFlight, at: start)
    lastFlight.removeAll(keepingCapacity: true)
  }

  private func countRecords(_ bytes: ArraySlice<UInt8>) {
    var index = bytes.startIndex
    while index + 5 <= bytes.endIndex {
      records += 1
      index += 5 + Int(bytes[index + 3]) << 8 + Int(bytes[index + 4])
    }
  }

  private func readSink(into bytes: inout [UInt8]) {
    var waiting = unsafe BIO_ctrl_pending(sink)
    while waiting > 0 {
      let start = bytes.count
      bytes.append(contentsOf: repeatElement(0, count: waiting))
      // The array has `waiting` bytes from `start` on.
      let count = unsafe bytes.withUnsafeMutableBufferPointer { buffer in
        unsafe BIO_read(sink, buffer.baseAddress.map { unsafe $0 + start }, Int32(waiting))
      }
      bytes.removeLast(waiting - max(0, Int(count)))
      waiting = unsafe BIO_ctrl_pending(sink)
    }
  }

  /// A ticket that came, for another connection.
  func ticket() -> Ticket? {
    guard let session = unsafe SSL_get1_session(ssl) else { return nil }
    let ticket = unsafe Ticket(owning: session)
    return unsafe SSL_SESSION_is_resumable(session) == 1 ? ticket : nil
  }

  private func explain(_ result: Int32) -> Read {
    switch unsafe SSL_get_error(ssl, result) {
    case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .later
    case SSL_ERROR_ZERO_RETURN: return .closed
    default: break
    }
    let code = ERR_get_error()
    ERR_clear_error()
    let reason = Int32(truncatingIfNeeded: code & 0x7F_FFFF)
    let isAlert = reason >= SSL_AD_REASON_OFFSET
    if code == 0 || isAlert || reason == SSL_R_NO_RENEGOTIATION { return .refused }
    // A constant text, or nil for an error without one.
    let text = unsafe ERR_reason_error_string(code).map { unsafe String(cString: $0) }
    return .broken(text ?? "error \(code)")
  }
}

// MARK: - Forging

extension ClientSession {
  /// Takes the making of records over from OpenSSL; nil where its keys are not known.
  func beginForging() -> RecordForge? {
    if let forge { return forge }
    guard isOpen, mayForge,
      unsafe SSL_CIPHER_get_id(SSL_get_current_cipher(ssl)) & 0xFFFF
        == (isTLS12 ? 0xC02B : 0x1301)
    else { return nil }
    var output: [UInt8] = []
    takeOutput(into: &output)
    if isTLS12 {
      forge = RecordForge(secret: keyBlock(), sequence: records + 1, isTLS13: false)
    } else if let secret = trafficSecret() {
      forge = RecordForge(secret: secret, sequence: records, isTLS13: true)
    }
    lastFlight = output
    return forge
  }

  /// Has OpenSSL tell each session its secrets.
  static func logKeys(of context: OpaquePointer) {
    // The callback is a C function that captures nothing; the text is a NUL-terminated line.
    unsafe SSL_CTX_set_keylog_callback(context) { ssl, line in
      guard let data = unsafe SSL_get_ex_data(ssl, 0), let line = unsafe line else { return }
      // `init` put the object there, and it frees the session.
      let session = unsafe Unmanaged<ClientSession>.fromOpaque(data).takeUnretainedValue()
      session.keyLog.append(unsafe String(cString: line))
    }
  }

  private func trafficSecret() -> [UInt8]? {
    let words = keyLog.first { $0.hasPrefix("CLIENT_TRAFFIC_SECRET_0 ") }?.split(separator: " ")
    let digits = words?.last?.compactMap(\.hexDigitValue) ?? []
    guard digits.count == 64 else { return nil }
    return (0..<32).map { UInt8(digits[2 * $0] << 4 | digits[2 * $0 + 1]) }
  }

  /// Our key and our vector of TLS 1.2 (RFC 5246 §6.3).
  private func keyBlock() -> [UInt8] {
    var master = [UInt8](repeating: 0, count: 48)
    var server = [UInt8](repeating: 0, count: 32)
    var client = [UInt8](repeating: 0, count: 32)
    // Each call fills at most as many bytes as its array has.
    unsafe SSL_SESSION_get_master_key(SSL_get_session(ssl), &master, master.count)
    unsafe SSL_get_server_random(ssl, &server, server.count)
    unsafe SSL_get_client_random(ssl, &client, client.count)
    let seed = Array("key expansion".utf8) + server + client
    var (block, link) = ([UInt8](), seed)
    while block.count < 40 {
      link = RecordForge.hmac(master, link)
      block += RecordForge.hmac(master, link + seed)
    }
    return Array(block[0..<16] + block[32..<36])
  }
}

/// A session that can be resumed, with one owner.
@safe
final class Ticket {
  // Owned: one reference, given back in `deinit`.
  let session: OpaquePointer

  init(owning session: OpaquePointer) {
    unsafe self.session = session
  }

  deinit {
    unsafe SSL_SESSION_free(session)
  }
}

import CCurl
import Glibc

/// One GET, performed by a `TransferLoop`, which keeps the connection for the next one.
///
/// Confined to the loop's thread. libcurl holds unretained pointers to it and to its buffers until the loop has removed
/// the handle; the loop retains it for that time.
@safe
final class Transfer {
  /// The most bytes of response fields that are read: 64 KiB.
  static let fieldBytesMax = 64 << 10

  /// What it asks.
  let question: Question
  let handle: UnsafeMutableRawPointer
  /// Tells this transfer's handle from others.
  var id: UInt { UInt(bitPattern: unsafe handle) }
  // libcurl reads these lists as long as the handle lives; freed after it.
  private var fieldList: UnsafeMutablePointer<curl_slist>?
  private var connectList: UnsafeMutablePointer<curl_slist>?
  private var addressList: UnsafeMutablePointer<curl_slist>?
  /// `CURL_ERROR_SIZE` bytes, as CURLOPT_ERRORBUFFER asks.
  private let errorText: UnsafeMutablePointer<CChar>

  private var answer = OutboundAnswer(status: 0)
  private let bodyBytesMax: Int
  /// What libcurl calls the host, and what it is called.
  private let pinned: (name: String, host: String)?
  private let watchesConnection: Bool
  private var fieldBytes = 0
  private var overflowed: String?

  init(_ request: OutboundRequest, for question: Question) {
    self.question = question
    bodyBytesMax = request.bodyBytesMax
    pinned = request.pinned.map { ($0, request.host) }
    watchesConnection = request.watchesConnection
    guard let handle = unsafe curl_easy_init() else { fatalError("libcurl is out of memory") }
    unsafe self.handle = handle
    unsafe errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
    unsafe errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    setBasics(request)
    setFields(request)
    setSecurity(request.security)
    setCallbacks()
  }

  deinit {
    // No loop holds the handle any more, else it would hold this object too; so nothing reads these again.
    unsafe curl_easy_cleanup(handle)
    unsafe curl_slist_free_all(fieldList)
    unsafe curl_slist_free_all(connectList)
    unsafe curl_slist_free_all(addressList)
    unsafe errorText.deallocate()
  }

  private func setBasics(_ request: OutboundRequest) {
    set(CURLOPT_URL, request.urlByServerName)
    if let path = request.unixSocket { set(CURLOPT_UNIX_SOCKET_PATH, path) }
    unsafe check(ccurl_allow_http_only(handle))
    unsafe ccurl_allow_quick_exit(handle)
    unsafe ccurl_reread_authorities(handle)
    set(CURLOPT_NOSIGNAL, 1)
    set(CURLOPT_FOLLOWLOCATION, 0)
    set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
    // Cluster members are asked directly: a proxy of the environment would see tokens, and answer for the dead.
    set(CURLOPT_PROXY, "")
    set(CURLOPT_NOPROXY, "*")
    set(CURLOPT_TIMEOUT_MS, max(1, request.timeout.wholeMilliseconds))
    set(CURLOPT_CONNECTTIMEOUT_MS, max(1, request.connectTimeout.wholeMilliseconds))
    set(CURLOPT_MAXFILESIZE, request.bodyBytesMax)
    set(CURLOPT_TCP_KEEPALIVE, 1)
    set(CURLOPT_TCP_KEEPIDLE, 15)
    set(CURLOPT_TCP_KEEPINTVL, 5)
    unsafe check(ccurl_set_user_timeout(handle, 15_000))
    if let age = request.connectionAgeMax {
      unsafe ccurl_limit_age(handle, max(1, Int(age.components.seconds)))
    }
    if let credentials = request.credentials {
      set(CURLOPT_HTTPAUTH, Int(CCURL_BASIC))
      set(CURLOPT_USERPWD, credentials)
    }
  }

  private func setFields(_ request: OutboundRequest) {
    var fields = request.fields
    if request.serverName != nil { fields.append((name: "Host", value: request.authority)) }
    if let place = request.connectsTo {
      // Whatever the URL's host and port, connect there (CURLOPT_CONNECT_TO(3)).
      unsafe connectList = appended("::\(place)", to: nil)
      unsafe check(ccurl_set_pointer(handle, CURLOPT_CONNECT_TO, connectList))
    }
    if let addresses = request.pinnedAddresses {
      unsafe addressList = appended(addresses, to: nil)
      unsafe check(ccurl_set_pointer(handle, CURLOPT_RESOLVE, addressList))
    }
    for field in fields {
      unsafe fieldList = appended("\(field.name): \(field.value)", to: fieldList)
    }
    unsafe check(ccurl_set_pointer(handle, CURLOPT_HTTPHEADER, fieldList))
  }

  private func appended(
    _ text: String, to list: UnsafeMutablePointer<curl_slist>?
  ) -> UnsafeMutablePointer<curl_slist> {
    // Appends a copy and returns the list's head; nil only where memory is out.
    guard let list = unsafe curl_slist_append(list, text) else {
      fatalError("libcurl is out of memory")
    }
    return unsafe list
  }

  private func setSecurity(_ security: OutboundSecurity) {
    set(CURLOPT_SSL_VERIFYPEER, security.verifies ? 1 : 0)
    set(CURLOPT_SSL_VERIFYHOST, security.verifies ? 2 : 0)
    set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
    if security.authorityFile != nil || security.authorityDirectory != nil {
      // Both are set: the one that is not given would otherwise be the system's, and trusted beside it.
      set(CURLOPT_CAINFO, security.authorityFile)
      set(CURLOPT_CAPATH, security.authorityDirectory)
    }
    if let file = security.certificateFile { set(CURLOPT_SSLCERT, file) }
    if let file = security.keyFile { set(CURLOPT_SSLKEY, file) }
  }

  private func setCallbacks() {
    // The callbacks run inside the loop's own calls, on its thread, while it retains this object.
    let context = unsafe Unmanaged.passUnretained(self)
    unsafe check(ccurl_set_pointer(handle, CURLOPT_ERRORBUFFER, errorText))
    unsafe check(ccurl_set_pointer(handle, CURLOPT_WRITEDATA, context.toOpaque()))
    unsafe check(ccurl_set_pointer(handle, CURLOPT_HEADERDATA, context.toOpaque()))
    unsafe check(
      ccurl_set_data_callback(handle, CURLOPT_WRITEFUNCTION) { bytes, one, count, context in
        guard let context = unsafe context else { return 0 }
        let transfer = unsafe Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
        let part = unsafe UnsafeRawBufferPointer(start: bytes, count: one * count)
        return unsafe transfer.appendToBody(part) ? one * count : 0
      })
    unsafe check(
      ccurl_set_data_callback(handle, CURLOPT_HEADERFUNCTION) { bytes, one, count, context in
        guard let context = unsafe context else { return 0 }
        let transfer = unsafe Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
        let line = unsafe UnsafeRawBufferPointer(start: bytes, count: one * count)
        return unsafe transfer.take(fieldLine: String(decoding: line, as: UTF8.self))
          ? one * count : 0
      })
  }

  private func appendToBody(_ part: UnsafeRawBufferPointer) -> Bool {
    guard answer.body.count + part.count <= bodyBytesMax else {
      overflowed = "the answer is larger than \(bodyBytesMax) bytes"
      return false
    }
    unsafe answer.body.append(contentsOf: part)
    return true
  }

  private func take(fieldLine line: String) -> Bool {
    fieldBytes += line.utf8.count
    guard fieldBytes <= Self.fieldBytesMax else {
      overflowed = "the answer's head is larger than \(Self.fieldBytesMax) bytes"
      return false
    }
    if line.hasPrefix("HTTP/") { answer.fields.removeAll() }
    guard let colon = line.utf8.firstIndex(of: UInt8(ascii: ":")) else { return true }
    let value = line[line.index(after: colon)...]
    answer.fields[line[..<colon].lowercased()] = trimmed(value)
    return true
  }

  /// The answer of a transfer that ended with `code`.
  func finish(_ code: CURLcode) -> Result<OutboundAnswer, OutboundFailure> {
    guard code == CURLE_OK else { return .failure(failure(code)) }
    var status = 0
    unsafe check(ccurl_get_long(handle, CURLINFO_RESPONSE_CODE, &status))
    answer.status = status
    return .success(answer)
  }

  /// The socket of the connection that this transfer has left open and that is to be watched; nil for none.
  var keptSocket: Int32? {
    guard watchesConnection else { return nil }
    let number = unsafe ccurl_kept_socket(handle)
    return number < 0 ? nil : number
  }

  private func failure(_ code: CURLcode) -> OutboundFailure {
    if let overflowed { return OutboundFailure(kind: .tooLarge, reason: overflowed) }
    var error = 0
    unsafe check(ccurl_get_long(handle, CURLINFO_OS_ERRNO, &error))
    let kind: OutboundFailure.Kind =
      switch (code, Int32(truncatingIfNeeded: error)) {
      // No socket file, or nobody behind it: nobody listens there either.
      case (CURLE_COULDNT_CONNECT, ECONNREFUSED), (CURLE_COULDNT_CONNECT, ENOENT): .refused
      case (CURLE_COULDNT_CONNECT, ECONNRESET), (CURLE_RECV_ERROR, ECONNRESET),
        (CURLE_SEND_ERROR, ECONNRESET), (CURLE_SEND_ERROR, EPIPE),
        (CURLE_SSL_CONNECT_ERROR, ECONNRESET), (CURLE_GOT_NOTHING, _):
        .reset
      default: Self.kind(code)
      }
    // libcurl ends its text with NUL, inside the buffer it was given.
    let detail = unsafe String(cString: errorText)
    var text = detail.isEmpty ? unsafe String(cString: curl_easy_strerror(code)) : detail
    if let pinned, pinned.name.hasSuffix(".invalid") {
      text = text.replacing(pinned.name, with: pinned.host)
    }
    return OutboundFailure(kind: kind, reason: sanitized(text))
  }

  private static func kind(_ code: CURLcode) -> OutboundFailure.Kind {
    switch code {
    case CURLE_COULDNT_CONNECT: .unreachable
    case CURLE_COULDNT_RESOLVE_HOST: .unresolved
    case CURLE_OPERATION_TIMEDOUT: .timedOut
    case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE,
      CURLE_SSL_CERTPROBLEM:
      .tls
    case CURLE_FILESIZE_EXCEEDED: .tooLarge
    default: .broken
    }
  }

  private func set(_ option: CURLoption, _ value: Int) {
    unsafe check(ccurl_set_long(handle, option, value))
  }

  private func set(_ option: CURLoption, _ value: String?) {
    unsafe check(ccurl_set_string(handle, option, value))
  }

  private func check(_ code: CURLcode) {
    precondition(code == CURLE_OK, "libcurl refuses an option it was built with")
  }
}

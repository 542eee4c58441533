import HTTP1
import ProxyProtocol
import Sys
import TLS
import Telemetry

// What a worker counts and logs.

extension Worker {
  @inline(__always)
  func count(status: Int, method: Method) {
    control.counters.add(FrontendCounter.request(status: status, method: method))
  }

  func countBadRequest(_ error: RequestError) {
    countCase(of: error, at: FrontendCounter.badRequests)
  }

  func countHandshake(_ connection: Connection) {
    guard let version = connection.transport.session?.protocolVersion else { return }
    let isResumed = connection.transport.session?.isResumed ?? false
    control.counters.add(FrontendCounter.handshake(version, isResumed: isResumed))
  }

  func countHandshakeFailure(_ failure: TLSFailure, _ connection: Connection) {
    countCase(of: failure.reason, at: FrontendCounter.handshakeFailures)
    logTLSError(failure, connection)
  }

  func countProxyHeader(_ header: ProxyHeader) {
    control.counters.add(FrontendCounter.proxyHeaders + ProxyHeaderKind(header).rawValue)
  }

  private func countCase<Case: CaseIterable & Equatable>(of value: Case, at base: Int) {
    for (index, candidate) in Case.allCases.enumerated() where candidate == value {
      control.counters.add(base + index)
    }
  }

  // MARK: Lines of the log

  func refuseProxyHeader(_ error: ProxyHeaderError, from peer: SocketAddress) {
    countCase(of: error, at: FrontendCounter.proxyErrors)
    guard let suppressed = proxyErrorLog.permit(now) else { return }
    log.warning(
      "PROXY header refused",
      metadata: [
        "reason": "\(error.message)", "peer": "\(peer)", "suppressed": "\(suppressed)",
      ])
  }

  func refuseProxySource(_ peer: SocketAddress) {
    control.counters.add(FrontendCounter.rejectedProxySource)
    guard let suppressed = proxyErrorLog.permit(now) else { return }
    log.warning(
      "connection refused: its address is not in --proxy-protocol-from",
      metadata: ["peer": "\(peer)", "suppressed": "\(suppressed)"])
  }

  func logTLSError(_ failure: TLSFailure, _ connection: Connection) {
    log.debug(
      "TLS failed",
      metadata: [
        "reason": "\(failure.message)", "client": "\(connection.client)",
        "conn": "\(connection.id)",
      ])
  }

  func logClose(_ connection: Connection, _ reason: CloseReason) {
    log.debug(
      "connection closed",
      metadata: [
        "reason": "\(reason.label)", "client": "\(connection.client)", "conn": "\(connection.id)",
        "requests": "\(connection.requests)",
      ])
  }
}

// MARK: - The access log

extension Connection {
  /// Writes one line for the request just answered: who, what, how long; never a query, a field or a body.
  func logAccess(
    _ head: RequestHead, _ bytes: Span<UInt8>, status: Int, _ responder: any Responder,
    _ worker: Worker
  ) {
    var line = LogLine(level: .info, message: "request")
    line.append("client", client.description)
    if proxy.client != nil { line.append("lb", peer.description) }
    if let endpoint = proxy.vpcEndpointID { line.append("vpce", endpoint) }
    line.append("method", text(bytes, head.methodRange))
    if worker.accessLog == .withPath {
      let range = head.target.range.lowerBound..<head.target.pathEnd
      line.append("path", (head.target.needsSlash ? "/" : "") + text(bytes, range))
    }
    line.append("status", "\(status)")
    let location = responder.lastLocationHost
    if !location.isEmpty { line.append("location_host", location) }
    let microseconds = (MonotonicTime.now() - requestStart).wholeNanoseconds / 1000
    line.append("dur_us", "\(microseconds)")
    if let version = transport.session?.protocolVersion { line.append("tls", version.label) }
    if let subject = transport.session?.clientSubject { line.append("client_cert", subject) }
    line.append("conn", "\(id)")
    worker.logWriter.write(line)
  }

  private func text(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
    String(decoding: range.map { bytes[$0] }, as: UTF8.self)
  }

  /// Answers a client that speaks plain HTTP on the TLS port, in clear text.
  func refusePlainRequest(_ worker: Worker) {
    let message: StaticString = "a plain HTTP request was sent to an HTTPS port: use https://"
    appendError(ErrorResponse(status: 400, message: message), worker)
  }
}

extension Listener {
  package var isTLS: Bool {
    if case .tls = security { true } else { false }
  }

  var firstPhase: ConnectionPhase {
    if !proxyProtocol.isOff { return .readingProxyHeader }
    return isTLS ? .handshaking : .readingHead
  }

  func firstTimeout(_ limits: FrontendLimits) -> Timeout {
    switch firstPhase {
    case .readingProxyHeader: limits.proxyHeaderTimeout
    case .handshaking: limits.handshakeTimeout
    default: limits.headTimeout
    }
  }

  /// A connection from `peer` would have to begin with a PROXY header, and may not.
  func refusesHeader(from peer: SocketAddress) -> Bool {
    !proxyProtocol.isOff && !proxyProtocol.sources.contains { $0.contains(peer) }
  }
}

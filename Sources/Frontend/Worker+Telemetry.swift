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
    guard let version = connection.transport.tlsVersion else { return }
    let isResumed = connection.transport.isResumed
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

  /// A bug of ours, which has ended this connection and nothing else: counted, and said once for each kind.
  func report(_ fault: StaticString, _ connection: Connection) {
    control.counters.add(FrontendCounter.internalErrors)
    let name = "\(fault)"
    guard !reportedFaults.contains(name) else { return }
    reportedFaults.insert(name)
    log.error(
      "internal error: a connection was closed; please report this",
      metadata: [
        "fault": "\(name)", "client": "\(connection.client)", "conn": "\(connection.id)",
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
    _ head: RequestHead, _ bytes: Span<UInt8>, status: Int, since start: MonotonicTime,
    _ responder: any Responder, _ worker: Worker
  ) {
    var line = LogLine(level: .info, message: "request")
    line.append("client", client.description)
    if proxy.client != nil { line.append("lb", peer.description) }
    if let endpoint = proxy.vpcEndpointID { line.append("vpce", endpoint) }
    line.append("conn", "\(id)")
    line.append("status", "\(status)")
    let microseconds = (MonotonicTime.now() - start).wholeNanoseconds / 1000
    line.append("dur_us", "\(microseconds)")
    if let version = transport.tlsVersion { line.append("tls", version.label) }
    let location = responder.lastLocationHost
    if !location.isEmpty { line.append("location_host", location) }
    // What the client chooses comes last, and none of it can push the rest out of the line.
    line.append("method", text(bytes, head.methodRange), clip: 64)
    if let subject = transport.clientSubject { line.append("client_cert", subject, clip: 512) }
    if worker.accessLog == .withPath {
      let range = head.target.range.lowerBound..<head.target.pathEnd
      line.append("path", (head.target.needsSlash ? "/" : "") + text(bytes, range))
    }
    worker.logWriter.write(line)
  }

  private func text(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
    String(decoding: range.map { bytes[$0] }, as: UTF8.self)
  }
}

extension Listener {
  package var isTLS: Bool {
    if case .tls = security { true } else { false }
  }

  var firstPhase: ConnectionPhase {
    if !proxyProtocol.isOff { return .readingProxyHeader }
    return isTLS ? .handshaking : .readingHead(.due)
  }

  /// A connection from `peer` would have to begin with a PROXY header, and may not.
  func refusesHeader(from peer: SocketAddress) -> Bool {
    !proxyProtocol.isOff && !proxyProtocol.sources.contains { $0.contains(peer) }
  }
}

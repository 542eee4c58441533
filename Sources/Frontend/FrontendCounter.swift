import HTTP1
import ProxyProtocol
import TLS
import Telemetry

/// Where each count of a worker stands in its block: a fixed layout, so that counting is an addition to a known place.
enum FrontendCounter {
  static let accepted = 0  // one a name that listeners have
  static let active = 8
  static let held = 9
  static let heldTotal = 10
  static let limitReached = 11
  static let acceptPauses = 12
  static let acceptScarce = 13
  static let rejectedProxySource = 14
  static let proxyHeaders = 15  // 5: see `ProxyHeaderKind`
  static let handshakes = 20  // 4: version, resumed
  static let closed = 24
  static let badRequests = closed + CloseReason.allCases.count
  static let proxyErrors = badRequests + RequestError.allCases.count
  static let handshakeFailures = proxyErrors + ProxyHeaderError.allCases.count
  static let internalErrors = handshakeFailures + TLSFailure.Reason.allCases.count
  static let requests = internalErrors + 1
  static let end = requests + statuses.count * Method.allCases.count

  /// Every status that this program answers with; the last row is for one that is forgotten here.
  static let statuses = [
    200, 307, 400, 403, 404, 405, 408, 413, 414, 417, 431, 500, 501, 503, 505, 508, otherStatus,
  ]
  private static let otherStatus = 0

  /// The place of a request's count. The redirect's comes first: it is the one that is counted all day.
  @inline(__always)
  static func request(status: Int, method: Method) -> Int {
    let row = status == 307 ? 1 : statuses.firstIndex(of: status) ?? statuses.count - 1
    return requests + row * Method.allCases.count + Int(method.rawValue)
  }

  static func handshake(_ version: TLSVersion, isResumed: Bool) -> Int {
    handshakes + (version == .tls13 ? 2 : 0) + (isResumed ? 1 : 0)
  }
}

// MARK: - What /metrics shows

extension FrontendCounter {
  /// All families, summed over the workers.
  static func families(
    _ blocks: [CounterBlock], listeners: [String], log: LogWriter
  ) -> [MetricFamily] {
    precondition(end <= CounterBlock.capacity, "more counts than a block has room for")
    let sum = { (index: Int) in Double(blocks.reduce(0) { $0 + $1.load(index) }) }
    return connectionFamilies(sum, listeners: listeners)
      + requestFamilies(sum) + handshakeFamilies(sum) + proxyFamilies(sum)
      + [
        MetricFamily(
          "internal_errors_total", .counter,
          help: "Bugs of this program that ended a connection; the log names each kind once.",
          [MetricSample(sum(internalErrors))]),
        MetricFamily(
          "log_messages_dropped_total", .counter,
          help: "Log lines lost because standard error did not take them.",
          [MetricSample(Double(log.droppedLines))]),
      ]
  }

  private static func connectionFamilies(
    _ sum: (Int) -> Double, listeners: [String]
  ) -> [MetricFamily] {
    [
      MetricFamily(
        "connections_accepted_total", .counter, help: "Connections accepted.",
        listenerNames(listeners).enumerated().map { index, name in
          MetricSample(sum(accepted + index), [("listener", name)])
        }),
      MetricFamily(
        "connections_active", .gauge, help: "Connections open now.", [MetricSample(sum(active))]),
      MetricFamily(
        "connections_rejected_total", .counter,
        help: "Connections closed, or made to wait, before anything was read from them.",
        [
          MetricSample(sum(limitReached), [("reason", "limit")]),
          MetricSample(sum(rejectedProxySource), [("reason", "proxy_source")]),
          MetricSample(
            sum(closed + CloseReason.addressLimit.rawValue), [("reason", "address_limit")]),
        ]),
      MetricFamily(
        "connections_closed_total", .counter, help: "Connections closed, by reason.",
        CloseReason.allCases.map { reason in
          MetricSample(sum(closed + reason.rawValue), [("reason", reason.label)])
        }),
      MetricFamily(
        "accept_pauses_total", .counter,
        help: "Times that accepting stopped because no more connections could be taken.",
        [MetricSample(sum(acceptPauses))]),
      MetricFamily(
        "accept_errors_total", .counter,
        help: "Times that accept failed for want of descriptors or memory.",
        [MetricSample(sum(acceptScarce))]),
    ]
  }

  private static func requestFamilies(_ sum: (Int) -> Double) -> [MetricFamily] {
    var samples: [MetricSample] = []
    for status in statuses {
      for method in Method.allCases {
        let count = sum(request(status: status, method: method))
        guard count > 0 || (status == 307 && method == .get) else { continue }
        samples.append(
          MetricSample(
            count,
            [("code", status == otherStatus ? "other" : "\(status)"), ("method", method.token)]))
      }
    }
    return [
      MetricFamily(
        "http_requests_total", .counter, help: "Requests answered, by status code and method.",
        samples),
      MetricFamily(
        "http_bad_requests_total", .counter, help: "Requests refused before they were understood.",
        RequestError.allCases.enumerated().map { index, error in
          MetricSample(sum(badRequests + index), [("reason", error.label)])
        }),
      MetricFamily(
        "http_requests_held", .gauge, help: "Requests that wait for an active node now.",
        [MetricSample(sum(held))]),
      MetricFamily(
        "http_requests_held_total", .counter,
        help: "Times that a request began to wait for an active node.",
        [MetricSample(sum(heldTotal))]),
    ]
  }

  private static func handshakeFamilies(_ sum: (Int) -> Double) -> [MetricFamily] {
    let versions: [TLSVersion] = [.tls12, .tls13]
    return [
      MetricFamily(
        "tls_handshakes_total", .counter, help: "TLS handshakes completed.",
        versions.flatMap { version in
          [false, true].map { isResumed in
            MetricSample(
              sum(handshake(version, isResumed: isResumed)),
              [("version", version.label), ("resumed", "\(isResumed)")])
          }
        }),
      MetricFamily(
        "tls_handshake_failures_total", .counter, help: "TLS handshakes that failed, by reason.",
        TLSFailure.Reason.allCases.enumerated().map { index, reason in
          MetricSample(sum(handshakeFailures + index), [("reason", reason.rawValue)])
        }),
    ]
  }

  private static func proxyFamilies(_ sum: (Int) -> Double) -> [MetricFamily] {
    let accepted = ProxyHeaderKind.allCases.map { kind in
      MetricSample(
        sum(proxyHeaders + kind.rawValue),
        [("version", kind.version), ("command", kind.command), ("result", "accepted")])
    }
    let refused = ProxyHeaderError.allCases.enumerated().map { index, error in
      MetricSample(
        sum(proxyErrors + index), [("version", ""), ("command", ""), ("result", error.label)])
    }
    return [
      MetricFamily(
        "proxy_protocol_headers_total", .counter, help: "PROXY headers, by what became of them.",
        accepted + refused)
    ]
  }

  /// Where each listener's connections are counted: several sockets may have the same name.
  static func acceptedPlaces(_ listeners: [String]) -> [Int] {
    let names = listenerNames(listeners)
    precondition(names.count <= active - accepted, "more names of listeners than places for them")
    return listeners.map { accepted + (names.firstIndex(of: $0) ?? 0) }
  }

  private static func listenerNames(_ listeners: [String]) -> [String] {
    var names: [String] = []
    for name in listeners where !names.contains(name) { names.append(name) }
    return names
  }
}

/// The accepted PROXY headers that are told apart.
enum ProxyHeaderKind: Int, CaseIterable {
  case v1Proxy, v1Unknown, v2Proxy, v2Local, v2Unspecified

  init(_ header: ProxyHeader) {
    switch (header.version, header.command) {
    case (.v1, .proxy): self = .v1Proxy
    case (.v1, _): self = .v1Unknown
    case (.v2, .proxy): self = .v2Proxy
    case (.v2, .local): self = .v2Local
    case (.v2, .unknown): self = .v2Unspecified
    }
  }

  var version: String {
    switch self {
    case .v1Proxy, .v1Unknown: "1"
    case .v2Proxy, .v2Local, .v2Unspecified: "2"
    }
  }

  var command: String {
    switch self {
    case .v1Proxy, .v2Proxy: "proxy"
    case .v1Unknown, .v2Unspecified: "unknown"
    case .v2Local: "local"
    }
  }
}

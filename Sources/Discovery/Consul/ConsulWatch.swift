import Redirect

/// The conversation with Consul: what to ask next and when, and what an answer means.
///
/// Pure: times, answers and random numbers come in, requests and findings go out.
struct ConsulWatch {
  /// What an answer or its absence amounts to.
  enum Finding {
    /// A successful answer, and what it is worth. `note` says what is odd about it.
    case instances([ServiceEntry], Completeness, note: String?)
    /// An error or silence: nothing is known that was not known before.
    case failure(String)
    /// The answer was too old to be used; the question is being repeated.
    case repeating
  }

  /// The most bytes of an answer: 4 MiB.
  static let bodyBytesMax = 4 << 20
  /// Older answers than this are asked for again of the leader.
  static let lastContactMax = Duration.seconds(10)
  static let connectTimeout = Duration.seconds(5)
  /// What a query may take beyond the time that Consul was asked to wait.
  static let slack = Duration.seconds(10)

  private let source: ConsulSource
  private let version: String
  private var query = BlockingQuery()
  private var backoff = Backoff()
  private var bucket = TokenBucket(capacity: 16, refill: .seconds(1))
  private var endpoint = 0
  private var token: String?
  private var asksLeader = false

  /// A query is out: the next step is `take`.
  private(set) var isAsking = false
  /// When the next query is due, unless one is out.
  private(set) var nextAt = Duration.zero
  private(set) var index: UInt64?
  /// What the last answer said of the server that gave it.
  private(set) var knowsLeader: Bool?
  private(set) var lastContact: Duration?

  init(_ source: ConsulSource, _ version: String) {
    self.source = source
    self.version = version
    readToken()
  }

  /// The agent that is asked at present.
  var agentDescription: String { agent.description }

  /// The next query if it is due.
  mutating func request(now: Duration) -> OutboundRequest? {
    guard !isAsking, nextAt <= now else { return nil }
    if let allowedAt = bucket.take(now: now) {
      nextAt = allowedAt
      return nil
    }
    isAsking = true
    var fields = [(name: "User-Agent", value: "vault-redirector/\(version)")]
    if let token { fields.append((name: "X-Consul-Token", value: token)) }
    var request = OutboundRequest(
      usesTLS: agent.usesTLS, host: "localhost", port: agent.usesTLS ? 443 : 80,
      path: agent.pathPrefix + path, fields: fields, credentials: source.access.credentials,
      timeout: timeout, connectTimeout: Self.connectTimeout, bodyBytesMax: Self.bodyBytesMax,
      security: source.access.security)
    switch agent.place {
    case .tcp(let host, let port): (request.host, request.port) = (host, port)
    case .unix(let path): request.unixSocket = path
    }
    return request
  }

  private var agent: ConsulEndpoint { source.access.endpoints[endpoint] }

  private var isBlocking: Bool { !asksLeader && query.index != nil }

  private var timeout: Duration {
    isBlocking ? source.wait + source.wait / 16 + Self.slack : Self.slack
  }

  private var path: String {
    var parameters: [String] = asksLeader ? [] : ["stale"]
    if isBlocking, let index = query.index {
      parameters.append("index=\(index)")
      parameters.append("wait=\(max(1, source.wait.wholeMilliseconds))ms")
    }
    let scope = [
      ("dc", source.access.datacenter), ("ns", source.access.namespace),
      ("partition", source.access.partition),
    ]
    for case (let name, let value?) in scope {
      parameters.append("\(name)=\(percentEncoded(value))")
    }
    let name = percentEncoded(source.service)
    let query = parameters.isEmpty ? "" : "?" + parameters.joined(separator: "&")
    return "/v1/health/service/\(name)\(query)"
  }

  /// Takes what became of the query.
  ///
  /// - Parameter random: a number in 0..<1, for the back-off.
  mutating func take(
    _ result: Result<OutboundAnswer, OutboundFailure>, now: Duration, random: Double
  ) -> Finding {
    isAsking = false
    switch result {
    case .failure(let failure):
      return fail(failure.reason, now: now, random: random)
    case .success(let answer) where answer.status != 200:
      // Before another token takes the place of the one that the answer may quote.
      let reason = withoutToken(reason(of: answer))
      if answer.status == 403, readToken() {
        // A rotated token: worth one attempt at once.
        backoff.succeed()
      }
      return fail(reason, now: now, random: random, retryAfter: answer.fields["retry-after"])
    case .success(let answer):
      return take(answer, now: now, random: random)
    }
  }

  private mutating func take(_ answer: OutboundAnswer, now: Duration, random: Double) -> Finding {
    if let coding = answer.fields["content-encoding"], coding.lowercased() != "identity" {
      return fail(
        "an answer in Content-Encoding \(sanitized(coding)), which was not asked for", now: now,
        random: random)
    }
    knowsLeader = answer.fields["x-consul-knownleader"].map { $0 == "true" }
    lastContact = answer.fields["x-consul-lastcontact"].flatMap { UInt32($0) }.map {
      .milliseconds($0)
    }
    if !asksLeader, isTooOld {
      asksLeader = true
      query.reset()
      nextAt = now
      return .repeating
    }
    let entries: [ServiceEntry]
    do {
      entries = try ServiceEntry.list(from: answer.body)
    } catch {
      return fail(describe(error), now: now, random: random)
    }
    asksLeader = false
    backoff.succeed()
    let canBlock = query.receive(answer.fields["x-consul-index"])
    index = query.index
    nextAt = canBlock ? now : now + source.pollInterval
    return .instances(entries, .complete, note: entries.isEmpty ? filterNote(answer) : nil)
  }

  /// The server that answered has not heard of its leader for a while, or has none.
  private var isTooOld: Bool {
    knowsLeader == false || lastContact.map { $0 > Self.lastContactMax } ?? false
  }

  private mutating func fail(
    _ reason: String, now: Duration, random: Double, retryAfter: String? = nil
  ) -> Finding {
    asksLeader = false
    query.reset()
    let asked = retryAfter.flatMap { UInt32($0) }.map { Duration.seconds(Int64($0)) } ?? .zero
    nextAt = now + max(backoff.fail(random: random), min(asked, Backoff.limit))
    let agent = agentDescription
    endpoint = (endpoint + 1) % source.access.endpoints.count
    return .failure("\(agent): \(withoutToken(reason))")
  }

  private func reason(of answer: OutboundAnswer) -> String {
    if (300..<400).contains(answer.status) {
      return "status \(answer.status); redirects are not followed, check the address"
    }
    let text = sanitized(String(decoding: answer.body.prefix(256), as: UTF8.self))
    return "status \(answer.status)" + (text.isEmpty ? "" : ": \(text)")
  }

  private func describe(_ error: ServiceHealthError) -> String {
    switch error {
    case .nestedTooDeep: "an answer nested deeper than \(ServiceEntry.nestingMax)"
    case .notJSON: "an answer that is not JSON"
    case .notServiceHealth: "an answer that is not a list of service instances"
    }
  }

  /// An empty list may mean that the token sees nothing: Consul says so only to those it knows.
  private func filterNote(_ answer: OutboundAnswer) -> String? {
    guard
      answer.fields["x-consul-results-filtered-by-acls"] == "true"
        || answer.fields["x-consul-default-acl-policy"] == "deny"
    else { return nil }
    return "no node visible: does the token grant service:read and node:read?"
  }

  private func withoutToken(_ text: String) -> String {
    guard let token, text.contains(token) else { return text }
    return text.split(separator: token, omittingEmptySubsequences: false).joined(
      separator: "[token]")
  }

  /// Reads the token file again.
  ///
  /// - Returns: whether the token is another one now. A file that cannot be read leaves the old one in force.
  @discardableResult
  private mutating func readToken() -> Bool {
    let old = token
    switch source.access.token {
    case .none: break
    case .text(let text): token = text
    case .file(let path):
      // Read successfully when the configuration was made; while it is being replaced, the old token stays.
      token = (try? SmallFile.readToken(path, option: "CONSUL_HTTP_TOKEN_FILE")) ?? token
    }
    return token != old
  }

  /// Reads the token again and asks at once, whatever the back-off says. The caller cancels the query that is out.
  mutating func reload() {
    readToken()
    backoff.succeed()
    query.reset()
    isAsking = false
    nextAt = .zero
  }
}

/// `text` with everything but unreserved characters percent-encoded (RFC 3986 §2.3).
func percentEncoded(_ text: String) -> String {
  var result = ""
  for byte in text.utf8 {
    let scalar = Unicode.Scalar(byte)
    if scalar.properties.isAlphabetic && byte < 0x80 || (0x30...0x39).contains(byte)
      || "-._~".unicodeScalars.contains(scalar)
    {
      result.unicodeScalars.append(scalar)
    } else {
      let digits = String(byte, radix: 16, uppercase: true)
      result += "%" + (digits.utf8.count == 1 ? "0" : "") + digits
    }
  }
  return result
}

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
  static let connectTimeout = Duration.seconds(5)
  /// What a query may take beyond the time that Consul was asked to wait, and one that does not wait: with a wait of ten seconds
  /// a hung agent is noticed within twenty.
  static let slack = Duration.seconds(8)
  /// While another agent than the first answers, the first is tried again so often, for so long.
  static let returnInterval = Duration.seconds(60)
  static let returnTimeout = Duration.seconds(2)

  private let source: ConsulSource
  private let version: String
  private var query = BlockingQuery()
  private var backoff = Backoff()
  private var bucket = TokenBucket(capacity: 16, refill: .seconds(1))
  private var endpoint = 0
  private var token: String?
  private var secrets: ConsulSecrets
  /// The leader is asked since a server's answer was old: this one.
  private var oldAnswer: (entries: [ServiceEntry], reason: String)?
  private var asksLeader: Bool { oldAnswer != nil }
  /// The first agent is being tried again while this one answers.
  private var returnsFrom: Int?
  private var nextReturn = Duration.zero
  /// An agent that streams to us is asked for a plain answer once in each wait: only that tells how old it is.
  private var nextPlain = Duration.zero
  /// Until then an empty list may be that of a catalogue which is being made again.
  private var rebuiltUntil: Duration?

  /// A query is out: the next step is `take`.
  private(set) var isAsking = false
  /// When the next query is due, unless one is out.
  private(set) var nextAt = Duration.zero
  private(set) var index: UInt64?
  /// What the last answer that said anything of its server said.
  private(set) var freshness: ConsulFreshness?

  init(_ source: ConsulSource, _ version: String) {
    self.source = source
    self.version = version
    secrets = ConsulSecrets(credentials: source.access.credentials)
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
    if endpoint != 0, nextReturn <= now {
      returnsFrom = endpoint
      endpoint = 0
      nextReturn = now + Self.returnInterval
      query.reset()
    }
    var fields = [(name: "User-Agent", value: "vault-redirector/\(version)")]
    if let token { fields.append((name: "X-Consul-Token", value: token)) }
    var request = OutboundRequest(
      usesTLS: agent.usesTLS, host: "localhost", port: agent.usesTLS ? 443 : 80,
      path: agent.pathPrefix + path, fields: fields, credentials: source.access.credentials,
      timeout: timeout, connectTimeout: min(timeout, Self.connectTimeout),
      bodyBytesMax: Self.bodyBytesMax,
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
    if returnsFrom != nil { return Self.returnTimeout }
    return isBlocking ? source.wait + source.wait / 16 + Self.slack : Self.slack
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
    let failure: ConsulFailure
    switch result {
    case .failure(let outbound):
      failure = ConsulFailure(
        reason: safe(outbound.reason), isRefused: outbound.kind == .refused, retryAfter: nil)
    case .success(let answer) where answer.status != 200:
      failure = ConsulFailure(
        reason: reason(of: answer), isRefused: false, retryAfter: answer.fields["retry-after"])
      if answer.status == 403, readToken() {
        // A rotated token: worth one attempt at once.
        backoff.succeed()
      }
    case .success(let answer):
      do {
        return try take(answer, now: now)
      } catch {
        failure = error
      }
    }
    return fail(failure, now: now, random: random)
  }

  private mutating func take(
    _ answer: OutboundAnswer, now: Duration
  ) throws(ConsulFailure) -> Finding {
    if let coding = answer.fields["content-encoding"], coding.lowercased() != "identity" {
      throw ConsulFailure(
        reason: safe("an answer in Content-Encoding \(coding), which was not asked for"))
    }
    let entries: [ServiceEntry]
    do {
      entries = try ServiceEntry.list(from: answer.body)
    } catch {
      throw ConsulFailure(reason: safe(error.reason))
    }
    let freshness = ConsulFreshness(answer)
    if !freshness.isStreamed { self.freshness = freshness }
    returnsFrom = nil
    if endpoint == 0 { nextReturn = now + Self.returnInterval }
    if !asksLeader, freshness.isOld {
      oldAnswer = (entries, freshness.reason)
      query.reset()
      nextAt = now
      return .repeating
    }
    oldAnswer = nil
    backoff.succeed()
    follow(answer, isStreamed: freshness.isStreamed, now: now)
    return finding(entries, answer, now: now)
  }

  /// What to ask next after an answer that counts.
  private mutating func follow(_ answer: OutboundAnswer, isStreamed: Bool, now: Duration) {
    let isEarlier = query.isAfter(answer.fields["x-consul-index"])
    if isEarlier { rebuiltUntil = now + source.wait }
    let canBlock = query.receive(answer.fields["x-consul-index"])
    index = query.index
    nextAt = canBlock ? now : now + source.pollInterval
    if !isStreamed {
      nextPlain = now + source.wait
    } else if nextPlain <= now {
      query.reset()
      nextPlain = now + source.wait
    }
  }

  private mutating func finding(
    _ entries: [ServiceEntry], _ answer: OutboundAnswer, now: Duration
  ) -> Finding {
    if !entries.isEmpty { rebuiltUntil = nil }
    if answer.fields["x-consul-results-filtered-by-acls"] == "true" {
      // Consul says so only to those it knows.
      let note = "consul hides nodes from this token; it needs service:read and node:read"
      return .instances(entries, .partial, note: note)
    }
    guard entries.isEmpty else { return .instances(entries, .complete, note: nil) }
    if answer.fields["x-consul-default-acl-policy"] == "deny" {
      let note = "no node visible; the token needs service:read and node:read"
      return .instances([], .partial, note: note)
    }
    if let rebuiltUntil, now < rebuiltUntil {
      return .instances([], .partial, note: "no node yet: consul's catalogue is being made again")
    }
    return .instances([], .complete, note: nil)
  }

  private mutating func fail(
    _ failure: ConsulFailure, now: Duration, random: Double
  ) -> Finding {
    if let other = returnsFrom {
      // It was only tried: the other one goes on.
      returnsFrom = nil
      endpoint = other
      query.reset()
      nextAt = now
      return .repeating
    }
    let old = oldAnswer
    oldAnswer = nil
    query.reset()
    let limit = failure.isRefused && agent.isLocal ? Backoff.localLimit : Backoff.limit
    let asked = failure.retryAfter.flatMap { UInt32($0) }.map { Duration.seconds(Int64($0)) }
    nextAt =
      now + max(backoff.fail(random: random, limit: limit), min(asked ?? .zero, Backoff.limit))
    let reason = "\(agentDescription): \(failure.reason.text)"
    endpoint = (endpoint + 1) % source.access.endpoints.count
    nextReturn = now + Self.returnInterval
    guard let old else { return .failure(reason) }
    return .instances(
      old.entries, .outdated, note: "\(reason); an answer is used although \(old.reason)")
  }

  private func safe(_ text: String) -> SafeText { SafeText(text, hiding: secrets.texts) }

  private func reason(of answer: OutboundAnswer) -> SafeText {
    if (300..<400).contains(answer.status) {
      return safe("status \(answer.status); redirects are not followed, check the address")
    }
    let start = "status \(answer.status)" + (answer.body.isEmpty ? "" : ": ")
    return SafeText(Array(start.utf8) + answer.body, hiding: secrets.texts)
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
    secrets.add(token)
    return token != old
  }

  /// Reads the token again and asks at once, whatever the back-off says. The caller cancels the query that is out.
  mutating func reload() {
    readToken()
    backoff.succeed()
    query.reset()
    oldAnswer = nil
    returnsFrom = nil
    isAsking = false
    nextAt = .zero
  }
}

import HTTP1
import Redirect
import Synchronization
import Testing

/// A clock that stands still until it is moved.
final class ManualClock: Sendable {
  private let offset = Mutex(Duration.zero)

  func advance(by duration: Duration) {
    offset.withLock { $0 += duration }
  }

  var source: TimeSource {
    TimeSource { [self] in
      let elapsed = offset.withLock { $0 }
      return Moment(
        monotonic: .seconds(1000) + elapsed,
        epochSeconds: 1_795_301_377 + elapsed.components.seconds)
    }
  }
}

/// A cell, a responder on it, and the answer to one request at a time.
final class Fixture {
  let clock: ManualClock
  let cell: ActiveNodeCell
  let responder: RedirectResponder

  convenience init(
    source: DiscoveryStatus.Source = .consul, grace: Duration = .zero,
    stale: Duration = .zero, reportLoop: @escaping @Sendable (ActiveNode) -> Void = { _ in }
  ) {
    let clock = ManualClock()
    let cell = ActiveNodeCell(status: DiscoveryStatus(source: source), time: clock.source)
    self.init(
      cell: cell, clock: clock, consulHostPort: source == .consul ? "127.0.0.1:8500" : nil,
      grace: grace, stale: stale, reportLoop: reportLoop)
  }

  /// A further worker's responder on the same cell.
  init(
    cell: ActiveNodeCell, clock: ManualClock, consulHostPort: String? = nil,
    grace: Duration = .zero, stale: Duration = .zero,
    reportLoop: @escaping @Sendable (ActiveNode) -> Void = { _ in }
  ) {
    self.clock = clock
    self.cell = cell
    responder = RedirectResponder(
      cell: cell,
      settings: RedirectSettings(
        version: "1.2.3", sourceURL: "https://example.com/source", consulHostPort: consulHostPort,
        healthGrace: grace, healthStale: stale, reportLoop: reportLoop), time: clock.source)
  }

  struct Asked {
    var method = Method.get
    var target = "/v1/secret"
    var version = HTTPVersion.http11
    var keepsAlive = true
    var mayHold = false
    var host = "redirector.example.com"
    var needsSlash = false
  }

  func ask(_ asked: Asked = Asked()) -> (outcome: ResponderOutcome, text: String) {
    let bytes = Array((asked.target + asked.host).utf8)
    let end = asked.target.utf8.count
    let path = asked.target.utf8.firstIndex(of: UInt8(ascii: "?"))
    let pathEnd = path.map { asked.target.utf8.distance(from: asked.target.startIndex, to: $0) }
    let head = RequestHead(
      method: asked.method, methodRange: 0..<0,
      target: RequestTarget(range: 0..<end, needsSlash: asked.needsSlash, pathEnd: pathEnd ?? end),
      version: asked.version, keepsAlive: asked.keepsAlive, framing: .none, expectsContinue: false,
      host: end..<bytes.count, headBytes: bytes.count)
    let context = ResponseContext(
      keepsAlive: asked.keepsAlive, date: HTTPDate(secondsSinceEpoch: 784_111_777),
      mayHold: asked.mayHold)
    var outcome = ResponderOutcome.hold
    let output = [UInt8](capacity: responder.responseBytesMax + end) { span in
      outcome = responder.respond(to: head, bytes: bytes.span, context: context, into: &span)
    }
    return (outcome, String(decoding: output, as: UTF8.self))
  }
}

func node(_ host: String, port: UInt16 = 8200, scheme: RedirectTarget.Scheme = .https) throws
  -> ActiveNode
{
  ActiveNode(
    target: try #require(RedirectTarget(scheme: scheme, host: host, port: port)), name: host)
}

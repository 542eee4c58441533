package import HTTP1

/// Answers every request with 307 to the active node, and asks nobody.
///
/// A request costs one atomic load, a few comparisons and four copies: what depends on the node is rendered when the
/// node changes. One instance a worker.
package final class RedirectResponder: Responder {
  private let cell: ActiveNodeCell
  private let settings: RedirectSettings
  private let time: TimeSource
  private let serverField: RenderedText

  // Everything below belongs to `version`.
  private var version: UInt64 = 0
  private var node: ActiveNode?
  /// Beside `node`, which is not touched for a request: looking at it takes a reference.
  private var hasNode = false
  /// From the end of `Date` to the target within `Location`.
  private let redirectHead = RenderedText()
  /// What `Host` says in a request that has come back to where we would send it.
  private let loopHost = HostMatch()
  private var hasReportedLoop = false

  private var lastAnswerRedirected = false

  package init(cell: ActiveNodeCell, settings: RedirectSettings, time: TimeSource) {
    self.cell = cell
    self.settings = settings
    self.time = time
    serverField = RenderedText(
      "\r\nServer: vault-redirector/\(settings.version)\r\nCache-Control: no-store\r\n")
    adopt(cell.version)
  }

  package var lastLocationHost: String {
    lastAnswerRedirected ? node?.target.host ?? "" : ""
  }

  package func respond(
    to head: RequestHead, bytes: Span<UInt8>, context: ResponseContext,
    into output: inout OutputSpan<UInt8>
  ) -> ResponderOutcome {
    let published = cell.version
    if published != version { adopt(published) }
    lastAnswerRedirected = false
    if isHealthPath(head.target, in: bytes) {
      return answerHealth(head, context: context, into: &output)
    }
    guard hasNode else {
      if context.mayHold { return .hold }
      return answer(.noActiveNode, to: head, context: context, into: &output)
    }
    if let host = head.host, loopHost.matches(bytes.extracting(host)) {
      return answerLoop(head, context: context, into: &output)
    }
    lastAnswerRedirected = true
    output.append("HTTP/1.1 307 Temporary Redirect\r\nDate: ")
    output.append(context.date)
    redirectHead.append(to: &output)
    if head.target.needsSlash { output.append("/") }
    output.append(contentsOf: bytes.extracting(head.target.range))
    output.append("\r\n")
    appendConnection(head, context: context, to: &output)
    return .answered(status: 307)
  }

  private func adopt(_ published: UInt64) {
    version = published
    node = cell.node(of: published)
    hasNode = node != nil
    loopHost.adopt(node?.target)
    hasReportedLoop = false
    guard let target = node?.target else { return }
    redirectHead.render(
      "\r\nServer: vault-redirector/\(settings.version)\r\nCache-Control: no-store\r\n"
        + "Content-Length: 0\r\nLocation: \(target.origin)")
  }

  /// Whether a request asks for the health of this program, which is answered whatever node is active.
  @inline(__always)
  package func isHealthPath(_ target: RequestTarget, in bytes: Span<UInt8>) -> Bool {
    let path: StaticString = "/vault-redirector-health"
    let start = target.range.lowerBound
    let count = path.utf8CodeUnitCount
    guard target.pathEnd - start == count, !target.needsSlash else { return false }
    for offset in 0..<count {
      // Within the literal: `offset` is below its length.
      if unsafe path.utf8Start[offset] != bytes[start + offset] { return false }
    }
    return true
  }

  private func answerHealth(
    _ head: RequestHead, context: ResponseContext, into output: inout OutputSpan<UInt8>
  ) -> ResponderOutcome {
    guard head.method == .get || head.method == .head else {
      return answer(.methodNotAllowed, to: head, context: context, into: &output)
    }
    let document = HealthDocument(cell.load(), settings: settings, now: time.now())
    let plain = PlainAnswer(
      status: document.isHealthy ? 200 : 503,
      reason: document.isHealthy ? "OK" : "Service Unavailable",
      fields: document.isHealthy ? "" : "Retry-After: 1\r\n", body: document.body)
    return answer(plain, to: head, context: context, into: &output)
  }

  private func answerLoop(
    _ head: RequestHead, context: ResponseContext, into output: inout OutputSpan<UInt8>
  ) -> ResponderOutcome {
    if !hasReportedLoop, let node {
      hasReportedLoop = true
      settings.reportLoop(node)
    }
    return answer(.loop, to: head, context: context, into: &output)
  }

  private func answer(
    _ plain: PlainAnswer, to head: RequestHead, context: ResponseContext,
    into output: inout OutputSpan<UInt8>
  ) -> ResponderOutcome {
    output.append(contentsOf: plain.statusLine.span)
    output.append("Date: ")
    output.append(context.date)
    serverField.append(to: &output)
    output.append(contentsOf: plain.fields.span)
    appendConnection(head, context: context, to: &output)
    if head.method != .head { output.append(contentsOf: plain.body.span) }
    return .answered(status: plain.status)
  }

  /// The last field, where the version's default is not what happens (RFC 9112 §9.3), and the empty line.
  @inline(__always)
  private func appendConnection(
    _ head: RequestHead, context: ResponseContext, to output: inout OutputSpan<UInt8>
  ) {
    // A switch: `==` of an enum of another module is a call through its conformance.
    switch (context.keepsAlive, head.version) {
    case (false, _): output.append("Connection: close\r\n\r\n")
    case (true, .http10): output.append("Connection: keep-alive\r\n\r\n")
    case (true, .http11): output.append("\r\n")
    }
  }
}

import HTTP1
import Redirect
import Telemetry

/// Answers on the admin listener: `/metrics` in Prometheus' text format, `/vault-redirector-health` as the public port has
/// it, and 404 for the rest. Reads counts, and dials nobody.
final class AdminResponder: Responder {
  private let metrics: MetricsRegistry
  private let health: RedirectResponder
  private let server: [UInt8]

  /// - Parameter health: answers for the health path, and is asked nothing else.
  init(metrics: MetricsRegistry, health: RedirectResponder, version: String) {
    self.metrics = metrics
    self.health = health
    server = Array("vault-redirector/\(version)".utf8)
  }

  let lastLocationHost = ""

  /// Some three hundred samples of about a hundred bytes, and room for four times that.
  let responseBytesMax = 128 << 10

  func respond(
    to head: RequestHead, bytes: Span<UInt8>, context: ResponseContext,
    into output: inout OutputSpan<UInt8>
  ) -> ResponderOutcome {
    if health.isHealthPath(head.target, in: bytes) {
      return health.respond(to: head, bytes: bytes, context: context, into: &output)
    }
    let path = bytes.extracting(head.target.range.lowerBound..<head.target.pathEnd)
    guard String(decoding: path.indices.map { path[$0] }, as: UTF8.self) == "/metrics" else {
      return refuse(
        404, "there is /metrics here, and /vault-redirector-health", head, context, &output)
    }
    guard head.method == .get || head.method == .head else {
      return refuse(405, "only GET and HEAD", head, context, &output)
    }
    let body = metrics.render()
    guard body.count <= responseBytesMax - ErrorResponse.frameBytesMax - server.count else {
      return refuse(500, "there are more metrics than fit in an answer", head, context, &output)
    }
    let server = self.server
    output.appendStatusLine(200)
    output.appendOriginFields(date: context.date, server: server.span)
    output.append("Cache-Control: no-store\r\nContent-Type: text/plain; version=0.0.4\r\n")
    output.appendField("Content-Length", decimal: body.count)
    output.appendConnectionField(keepsAlive: context.keepsAlive, version: head.version)
    output.append("\r\n")
    if head.method != .head { output.append(contentsOf: body.span) }
    return .answered(status: 200)
  }

  private func refuse(
    _ status: Int, _ message: StaticString, _ head: RequestHead, _ context: ResponseContext,
    _ output: inout OutputSpan<UInt8>
  ) -> ResponderOutcome {
    var response = ErrorResponse(status: status, message: message)
    response.keepsAlive = context.keepsAlive
    response.version = head.version
    response.isHead = head.method == .head
    response.allowedMethods = "GET, HEAD"
    let server = self.server
    output.append(response, date: context.date, server: server.span)
    return .answered(status: status)
  }
}

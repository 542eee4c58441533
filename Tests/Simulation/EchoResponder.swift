import HTTP1

/// Stands in for the admin listener's: its answers are longer than requests, and tell whose they
/// are.
final class EchoResponder: Responder {
  let lastLocationHost = ""
  let responseBytesMax = 64 << 10

  /// The body for a target: some copies of it, more for some targets.
  static func body(_ target: [UInt8]) -> [UInt8] {
    let copies = 1 + 40 * Int((target.last ?? 0) & 7)
    return Array(repeatElement(target.prefix(200), count: copies).joined())
  }

  func respond(
    to head: RequestHead, bytes: Span<UInt8>, context: ResponseContext,
    into output: inout OutputSpan<UInt8>
  ) -> ResponderOutcome {
    let body = Self.body(head.target.range.map { bytes[$0] })
    output.appendStatusLine(200)
    output.appendField("Content-Length", decimal: body.count)
    output.appendConnectionField(keepsAlive: context.keepsAlive, version: head.version)
    output.append("\r\n")
    if head.method != .head { for byte in body { output.append(byte) } }
    return .answered(status: 200)
  }
}

import HTTP1
import Testing

@testable import Frontend

struct BodyDiscardTests {
  @Test func aBodyOfAKnownLengthEndsThere() {
    var body = BodyDiscard(.length(5), limits: FrontendLimits())
    #expect(!body.isFinished)
    let bytes = Array("hel".utf8)
    guard case .needsMore(used: 3) = body.discard(bytes.span) else {
      Issue.record("three of five bytes are not all")
      return
    }
    let rest = Array("loGET /".utf8)
    guard case .finished(used: 2) = body.discard(rest.span) else {
      Issue.record("the body is over after two more")
      return
    }
    #expect(body.isFinished)
  }

  @Test func aChunkedBodyEndsAfterItsTrailer() {
    var body = BodyDiscard(.chunked, limits: FrontendLimits())
    let bytes = Array("3\r\nabc\r\n0\r\n\r\nGET".utf8)
    guard case .finished(used: 13) = body.discard(bytes.span) else {
      Issue.record("the body takes thirteen bytes")
      return
    }
  }

  /// A body of `count` chunks of `size` bytes, and what became of it.
  private func discard(chunks count: Int, of size: Int, max: UInt64) -> BodyDiscard.Result? {
    var limits = FrontendLimits()
    limits.discardBytesMax = max
    var body = BodyDiscard(.chunked, limits: limits)
    let chunk = Array("\(String(size, radix: 16))\r\n".utf8) + [UInt8](repeating: 0x61, count: size)
    let piece = chunk + Array("\r\n".utf8)
    for _ in 0..<count {
      guard case .needsMore = body.discard(piece.span) else { return .tooLarge }
    }
    return body.discard(Array("0\r\n\r\n".utf8).span)
  }

  @Test(arguments: [(256, 4096), (1, 1 << 20), (1024, 1024)])
  func whatCountsIsContent(count: Int, size: Int) {
    guard case .finished = discard(chunks: count, of: size, max: 1 << 20) else {
      Issue.record("a mebibyte of content is permitted, however it is cut")
      return
    }
    guard case .tooLarge = discard(chunks: count, of: size, max: (1 << 20) - 1) else {
      Issue.record("a byte more is not")
      return
    }
  }

  @Test func framingIsBoundedBesideIt() {
    guard case .tooLarge = discard(chunks: 1 << 18, of: 1, max: 1 << 20) else {
      Issue.record("chunks of one byte are no way round the limit")
      return
    }
  }

  @Test func aBrokenChunkIsSeen() {
    var body = BodyDiscard(.chunked, limits: FrontendLimits())
    let bytes = Array("zz\r\n".utf8)
    guard case .malformed = body.discard(bytes.span) else {
      Issue.record("zz is no size")
      return
    }
  }
}

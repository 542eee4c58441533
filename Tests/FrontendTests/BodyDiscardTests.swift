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

  @Test func aChunkedBodyOverTheLimitIsNotReadToItsEnd() {
    var limits = FrontendLimits()
    limits.discardBytesMax = 12
    var body = BodyDiscard(.chunked, limits: limits)
    let bytes = Array("1\r\na\r\n".utf8)
    guard case .needsMore(used: 6) = body.discard(bytes.span) else {
      Issue.record("six bytes are fewer than twelve")
      return
    }
    let more = Array("1;extension\r\nb".utf8)
    guard case .tooLarge = body.discard(more.span) else {
      Issue.record("size lines count as well")
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

import Testing

@testable import Frontend

struct WarmSessionsTests {
  @Test func theOldestGoesFirstAndOnlyWhereThereIsNoRoom() {
    var warm = WarmSessions()
    let count = UInt64(WarmSessions.countMax)
    for token in 0..<count { #expect(warm.replaceOldest(with: token) == nil) }
    for token in count..<3 * count {
      #expect(warm.replaceOldest(with: token) == token - count)
    }
  }
}

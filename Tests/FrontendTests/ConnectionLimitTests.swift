import Sys
import Testing

@testable import Frontend

struct ConnectionLimitTests {
  private func limit(
    _ descriptors: Int, _ bytes: UInt64?, each: Int = 1 << 20, asked: Int? = nil
  ) -> ConnectionLimit {
    ConnectionLimit(
      descriptors: descriptors, memory: bytes.map { MemoryLimit(bytes: $0, source: "memory") },
      bytesEach: each, asked: asked)
  }

  @Test func theLesserOfBoth() {
    let byMemory = limit(1000, 1 << 30)
    #expect(byMemory.connections == 512 && byMemory.source == "memory")
    let byDescriptors = limit(500, 1 << 30)
    #expect(byDescriptors.connections == 500 && byDescriptors.source == "RLIMIT_NOFILE")
    #expect(!byMemory.exceedsMemory && !byDescriptors.exceedsMemory)
  }

  @Test(arguments: [UInt64(0), 1, 4096, 1 << 20, 128 << 20])
  func tinyMemoryLeavesRoomForSome(bytes: UInt64) {
    #expect(limit(1000, bytes).connections == 64)
    #expect(limit(3, bytes).connections == 3)
  }

  @Test(arguments: [UInt64.max, 1 << 62, 9_223_372_036_854_771_712])
  func hugeMemoryLeavesItToDescriptors(bytes: UInt64) {
    #expect(limit(Int.max, bytes, each: 1).connections > 1 << 60)
    #expect(limit(65_000, bytes).connections == 65_000)
  }

  @Test func unknownMemoryLeavesItToDescriptors() {
    #expect(limit(77, nil).connections == 77)
    #expect(limit(77, nil).byMemory == nil)
    #expect(!limit(77, nil, asked: 70).exceedsMemory)
  }

  @Test func whatIsAskedForCountsAndIsJudged() {
    let much = limit(10_000, 1 << 30, asked: 513)
    #expect(much.connections == 513 && much.source == "--max-connections")
    #expect(much.exceedsMemory && much.byMemory == 512)
    #expect(!limit(10_000, 1 << 30, asked: 512).exceedsMemory)
  }

  /// The numbers that the handbook states.
  @Test func theWorstFollowsFromTheLimits() {
    var limits = FrontendLimits()
    #expect(limits.connectionBytesMax == 368 << 10)
    limits.message.headBytesMax += 100
    #expect(limits.connectionBytesMax == (368 << 10) + 100)
    limits.message = .init()
    limits.message.headBytesMax = 128
    limits.message.requestLineBytesMax = 64
    // What a handshake may take stays.
    #expect(limits.connectionBytesMax == (48 + 96 + 64 + 128) << 10)
  }
}

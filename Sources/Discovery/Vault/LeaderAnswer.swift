import FoundationEssentials

/// The answer to `/v1/sys/leader`.
struct LeaderAnswer: Decodable {
  private let is_self: Bool?
  private let active_time: String?

  /// Since when the node that answers is the active one; nil where it is not, or does not say.
  static func activeTime(_ answer: OutboundAnswer) -> String? {
    guard answer.status == 200, ServiceEntry.isNested(answer.body, atMost: ServiceEntry.nestingMax),
      // Whatever is not such an object names no time: that is all there is to say.
      let leader = try? JSONDecoder().decode(LeaderAnswer.self, from: Data(answer.body)),
      leader.is_self == true
    else { return nil }
    return leader.active_time
  }
}

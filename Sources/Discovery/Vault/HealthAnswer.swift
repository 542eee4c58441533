import FoundationEssentials

/// The body of `/v1/sys/health`: what every version of Vault and OpenBao says in it (their API documentation).
struct HealthAnswer: Decodable {
  let initialized: Bool
  let sealed: Bool
  let standby: Bool

  /// Nil for everything else.
  init?(_ answer: OutboundAnswer) {
    guard ServiceEntry.isNested(answer.body, atMost: ServiceEntry.nestingMax),
      // Whatever is not such an object is not Vault's: that is all there is to say.
      let health = try? JSONDecoder().decode(HealthAnswer.self, from: Data(answer.body))
    else { return nil }
    self = health
  }
}

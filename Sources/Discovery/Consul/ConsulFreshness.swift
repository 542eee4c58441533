/// What an answer says of the server that gave it (Consul's documentation, "Consistency Modes").
struct ConsulFreshness: Equatable, Sendable {
  /// Older answers than this are asked for again of the leader.
  static let lastContactMax = Duration.seconds(10)
  /// What cannot be read, or is beyond any range: older than anything.
  private static let unreadable = Duration.milliseconds(Int64(1) << 40)

  /// Nil where the answer does not say.
  let knowsLeader: Bool?
  /// How long ago the server had heard of its leader; nil where the answer does not say.
  let lastContact: Duration?
  /// From an agent's own subscription, which knows nothing of leaders: what it says of them is not meant.
  let isStreamed: Bool

  init(_ answer: OutboundAnswer) {
    isStreamed = answer.fields["x-consul-query-backend"] == "streaming"
    guard !isStreamed else {
      (knowsLeader, lastContact) = (nil, nil)
      return
    }
    knowsLeader = answer.fields["x-consul-knownleader"].map { $0 == "true" }
    lastContact = answer.fields["x-consul-lastcontact"].map { text in
      guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int64(text) else {
        return Self.unreadable
      }
      return min(.milliseconds(number), Self.unreadable)
    }
  }

  /// The server has not heard of its leader for a while, or has none.
  var isOld: Bool {
    knowsLeader == false || lastContact.map { $0 > Self.lastContactMax } ?? false
  }

  /// How old, for people.
  var reason: String {
    guard knowsLeader != false, let lastContact else { return "it has no leader" }
    return "its leader was heard of \(lastContact.components.seconds) s ago"
  }
}

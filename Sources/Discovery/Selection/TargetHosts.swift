/// The hosts of targets that have to be looked up: whether a name is ourselves is told by its addresses.
///
/// Pure: times come in, names to look up go out.
struct TargetHosts {
  /// The pause between two lookups of a name.
  static let interval = LocalHosts.interval

  private var lookups: [String: LookupTime] = [:]

  /// Takes the names that matter now.
  mutating func replace(_ names: Set<String>) {
    lookups = lookups.filter { names.contains($0.key) }
    for name in names where lookups[name] == nil { lookups[name] = .due(.zero) }
  }

  /// When the next lookup is due; nil where none is.
  var nextAt: Duration? { lookups.values.compactMap(\.dueAt).min() }

  /// The lookups that are due, each to be answered by `take`.
  mutating func due(now: Duration) -> [NameQuestion] {
    let names = lookups.filter { $0.value.dueAt.map { $0 <= now } ?? false }.keys.sorted()
    for name in names { lookups[name] = .out(again: false) }
    return names.map { NameQuestion(host: $0, wantsNames: false) }
  }

  /// Has every name looked up now.
  mutating func lookUpAgain(now: Duration) {
    for name in lookups.keys { lookups[name]?.hurry(to: now) }
  }

  /// Notes that a question of `due` was answered.
  mutating func take(_ question: NameQuestion, now: Duration) {
    lookups[question.host]?.settle(now: now, next: now + Self.interval)
  }
}

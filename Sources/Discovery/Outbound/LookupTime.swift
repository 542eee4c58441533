/// When a name is looked up: one lookup at a time.
enum LookupTime: Equatable, Sendable {
  case due(Duration)
  /// Asked; and to be asked again at once.
  case out(again: Bool)

  /// Nil while the lookup is out.
  var dueAt: Duration? {
    if case .due(let time) = self { time } else { nil }
  }

  /// No later than this.
  mutating func hurry(to time: Duration) {
    self = if let dueAt { .due(min(dueAt, time)) } else { .out(again: true) }
  }

  /// It has been answered.
  mutating func settle(now: Duration, next: Duration) {
    self = .due(self == .out(again: true) ? now : next)
  }
}

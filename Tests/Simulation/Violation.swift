/// An invariant that does not hold.
struct Violation: Error, CustomStringConvertible {
  /// The invariant, in words that stay the same.
  let invariant: String
  /// What was found.
  let detail: String

  init(_ invariant: String, _ detail: String) {
    self.invariant = invariant
    self.detail = detail
  }

  var description: String { "\(invariant): \(detail)" }
}

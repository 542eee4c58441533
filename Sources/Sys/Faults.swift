/// What must never happen, noted where it did: by design no peer can cause it, and if one does, it costs that peer its
/// connection, and not everybody the process.
///
/// One for each worker, confined to its thread. Whoever finds an invariant broken reports it and goes on in the safest way;
/// the worker asks after each connection's turn, closes that connection, counts and logs. In debug builds and in the
/// simulation (`SIMULATOR`) a report traps, so that the cause is found where it is.
package final class Faults {
  /// Whether a report traps where nobody says otherwise.
  package static var trapsByDefault: Bool {
    #if DEBUG || SIMULATOR
      true
    #else
      false
    #endif
  }

  private let traps: Bool
  /// The first fault that was reported and not taken.
  private var first: StaticString?

  /// - Parameter traps: a report ends the process; false for a test of what happens where it does not.
  package init(traps: Bool = Faults.trapsByDefault) {
    self.traps = traps
  }

  /// Notes that what `name` says has happened.
  @inline(never)
  package func report(_ name: StaticString) {
    if traps { fatalError("\(name)") }
    if first == nil { first = name }
  }

  /// The first report since the last call.
  @inline(__always)
  package func take() -> StaticString? {
    guard let name = first else { return nil }
    first = nil
    return name
  }
}

/// What must never happen, noted where it did: by design no peer can cause it, and if one does, it costs that peer its
/// connection, and not everybody the process.
///
/// One for each worker, confined to its thread. Whoever finds an invariant broken reports it and goes on in the safest way;
/// the worker asks after each connection's turn, closes that connection, counts and logs. In debug builds and in the
/// simulation (`SIMULATOR`) a report traps, so that the cause is found where it is.
package final class Faults {
  /// The first fault that was reported and not taken.
  private var first: StaticString?

  package init() {}

  /// Notes that what `name` says has happened; traps in debug builds.
  @inline(never)
  package func report(_ name: StaticString) {
    trapInDebug(name)
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

/// Ends the process in debug builds and in the simulation, does nothing elsewhere: for an invariant that a peer might
/// break after all, where the caller then goes on in the safest way.
@inline(__always)
package func trapInDebug(_ what: StaticString) {
  #if DEBUG || SIMULATOR
    fatalError("\(what)")
  #endif
}

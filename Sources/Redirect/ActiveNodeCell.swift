import Synchronization

/// What is known at one moment, all of it consistent.
package struct ActiveNodeSnapshot: Equatable, Sendable {
  /// The active node, or nil where there is none or none is known.
  package let node: ActiveNode?
  /// When `node` took this value; nil before the first publication.
  package let since: Moment?
  /// The last node that was known before `node` became nil; nil where none ever was.
  package let previous: ActiveNode?
  /// Counts the changes of `node`; begins at 1.
  package let generation: UInt64
  package let status: DiscoveryStatus
}

/// Where discovery publishes the active node and the workers load it.
///
/// A worker compares `version`, one atomic load, and asks for `node(of:)` only when it moved. Neither takes a lock, so
/// no request ever waits for a publication or for another worker.
package final class ActiveNodeCell: Sendable {
  private struct State {
    var snapshot: ActiveNodeSnapshot
    var observers: [@Sendable () -> Void] = []
  }

  // The generation, and in the low half which of the known nodes it is: 0 for none. Memory ends before the numbers do.
  private let published = Atomic<UInt64>(1 << numberBits)
  private static let numberBits: UInt64 = 32
  private let known = KnownNodes()
  private let state: Mutex<State>
  /// What tells when something was published.
  package let time: TimeSource

  /// - Parameter status: what health shows until discovery reports.
  package init(status: DiscoveryStatus, time: TimeSource) {
    self.time = time
    state = Mutex(
      State(
        snapshot: ActiveNodeSnapshot(
          node: nil, since: nil, previous: nil, generation: 1, status: status)))
  }

  /// Differs from every version before when another node, or none, has been published. One atomic load.
  @inline(__always)
  package var version: UInt64 { published.load(ordering: .acquiring) }

  /// The node of a version that `version` gave; nil for none. Takes no lock.
  package func node(of version: UInt64) -> ActiveNode? {
    known.node(number: version & ((1 << Self.numberBits) - 1))
  }

  /// The number of the last change.
  package var generation: UInt64 { version >> Self.numberBits }

  /// States a fact: this node is active, or (nil) none is. Nothing happens where that is what is published already.
  ///
  /// - Returns: whether something changed; if so the observers have been called, on this thread.
  @discardableResult
  package func publish(_ node: ActiveNode?) -> Bool {
    let now = time.now()
    let observers: [@Sendable () -> Void]? = state.withLock { state in
      let old = state.snapshot
      guard old.since == nil || old.node != node else { return nil }
      let generation = old.generation + 1
      state.snapshot = ActiveNodeSnapshot(
        node: node, since: now, previous: old.node ?? old.previous, generation: generation,
        status: old.status)
      let number = node.map { known.number(of: $0) } ?? 0
      published.store(generation << Self.numberBits | number, ordering: .releasing)
      return state.observers
    }
    guard let observers else { return false }
    for observer in observers { observer() }
    return true
  }

  /// Says how discovery is doing; the active node and `version` stay as they are.
  package func report(_ status: DiscoveryStatus) {
    state.withLock { state in
      let old = state.snapshot
      state.snapshot = ActiveNodeSnapshot(
        node: old.node, since: old.since, previous: old.previous, generation: old.generation,
        status: status)
    }
  }

  /// Everything that is known. May wait for a publisher, for the time of a few assignments.
  package func load() -> ActiveNodeSnapshot {
    state.withLock { $0.snapshot }
  }

  /// Calls `observer` after each change, on the publisher's thread and without any lock held: for wakeups.
  package func observe(_ observer: @escaping @Sendable () -> Void) {
    state.withLock { $0.observers.append(observer) }
  }
}

import Synchronization

/// The one place new connections take their context from; a reload replaces what is there.
package final class TLSContextStore: Sendable {
  private let current: Mutex<TLSContext>
  private let published = Atomic<UInt64>(1)

  /// A store with a first context, which is generation 1.
  package init(_ context: TLSContext) {
    current = Mutex(context)
  }

  /// Counts publications. A worker keeps the context it loaded and loads again when this has
  /// changed; it reads this before it loads, so that it can be early by one but never late.
  @inline(__always)
  package var generation: UInt64 { published.load(ordering: .acquiring) }

  /// The context for the next connection.
  package func load() -> TLSContext {
    current.withLock { $0 }
  }

  /// Makes `context` the one for all connections from now on; those in flight keep theirs.
  package func publish(_ context: TLSContext) {
    current.withLock { $0 = context }
    published.add(1, ordering: .releasing)
  }
}

import TLS

/// The newest context of a listener's store, loaded again when another was published.
struct ContextCache {
  private let store: TLSContextStore?
  private var context: TLSContext?
  private var generation: UInt64 = 0

  init(_ security: Listener.Security) {
    switch security {
    case .plain: store = nil
    case .tls(let store): self.store = store
    }
  }

  mutating func current() -> TLSContext? {
    guard let store else { return nil }
    let published = store.generation
    if published != generation {
      context = store.load()
      generation = published
    }
    return context
  }
}

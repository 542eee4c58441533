/// What a node has said of itself, and how sure that still is.
enum NodeWord: Equatable, Sendable {
  /// It has not answered yet.
  case unheard
  case active(ActiveTime)
  /// It was active, and its next answer is late: a node that is being sealed says nothing until it is.
  case overdue(ActiveTime)
  /// Vault says there that it is not active, or nobody listens.
  case inactive(VaultState)
  /// Something answers there that is not Vault.
  case unclear(VaultState)
  /// Nothing came back, so many times in a row.
  case silent(VaultState, times: Int)

  /// Since when an active node is active (`active_time` of `/v1/sys/leader`): asked for where two of them claim to be.
  enum ActiveTime: Equatable, Sendable {
    case unasked
    /// To be asked for.
    case wanted
    /// Asked for.
    case asked
    /// Answered; nil where the node names none.
    case told(UTCTime?)
  }

  /// What is said after `old`.
  init(_ state: VaultState, after old: NodeWord) {
    switch state.bearing {
    case .affirms:
      self = if let time = old.activeTime { .active(time) } else { .active(.unasked) }
    case .denies: self = .inactive(state)
    case .unclear: self = .unclear(state)
    case .silence:
      let times = if case .silent(_, let times) = old { times } else { 0 }
      self = .silent(state, times: times + 1)
    }
  }

  /// Nil where it is not active.
  var activeTime: ActiveTime? {
    switch self {
    case .active(let time), .overdue(let time): time
    default: nil
    }
  }

  /// It says that it is active, and its next answer is not late.
  var isActive: Bool {
    if case .active = self { true } else { false }
  }

  /// What it said last.
  var state: VaultState {
    switch self {
    case .unheard: .unknown
    case .active, .overdue: .active
    case .inactive(let state), .unclear(let state), .silent(let state, _): state
    }
  }
}

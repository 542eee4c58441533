import Redirect

/// Who is active, by all that is known. Pure, and one table: `standing(of:)`, which Decisions shows and the tests go through.
///
/// Where nodes are asked themselves, one that says that it is active is; Consul's tags only break ties. Where they are not, Consul's word
/// is all there is.
struct Selection: Equatable {
  /// What is known of one node.
  struct Known: Equatable {
    let node: ActiveNode
    let registration: Registration
    let opinion: Opinion
    /// Consul registers it as the active one, or it says so itself, whatever bars it.
    var isClaiming = false
    /// What it said last; `.unknown` where it is not asked.
    var state = VaultState.unknown
    /// Of its registration; 0 where there is none.
    var modifyIndex: UInt64 = 0
    /// Since when it is active by its own word, where that was asked.
    var activeSince: UTCTime?
    /// It is being asked since when.
    var isBeingDated = false
  }

  /// What a node says of itself, seen together with what the others say.
  enum Opinion: Equatable, CaseIterable {
    /// Nodes are not asked.
    case notAsked
    /// It has not answered yet.
    case unheard
    /// It says that it is active.
    case active
    /// It said so, and its next answer is late: it yields to any other that says so.
    case overdue
    /// It says that it is not, or nobody listens there.
    case denied
    /// It does not answer, which may be our fault.
    case silent
    /// It does not answer although others do, and not for the first time; or another has lost it.
    case lost
    /// Something answers there that is not Vault.
    case unclear
  }

  /// What becomes of one node.
  enum Standing: Equatable {
    /// It may be chosen.
    case candidate
    /// It stays, if it is the one that clients are sent to, until another may be chosen.
    case kept
    /// It is not active, or must not be sent to.
    case refused
    /// Nothing is known yet.
    case unknown
  }

  enum Decision: Equatable {
    /// A fact: this node is active, or none is.
    case publish(ActiveNode?)
    /// Nothing is known that would change what is published.
    case keep
  }

  let known: [Known]
  /// Who is published now.
  let published: ActiveNode?
  /// Consul has not said yet who there is.
  var isOpen = false

  /// The table.
  static func standing(
    _ registration: Registration, _ opinion: Opinion, isPublished: Bool
  ) -> Standing {
    switch (registration, opinion) {
    case (.barred, _): .refused
    case (_, .active): .candidate
    case (_, .denied), (_, .lost): .refused
    // Consul's word alone.
    case (.active, .notAsked): .candidate
    case (.hidden, .notAsked), (.vanished(isRecent: true), .notAsked):
      isPublished ? .kept : .refused
    case (_, .notAsked): .refused
    case (_, .unheard): isPublished ? .kept : .unknown
    case (_, .overdue): isPublished ? .kept : .refused
    // Neither says that it is well.
    case (.critical, _), (.vanished, _), (.inactive, .unclear): .refused
    case (_, .silent), (_, .unclear): isPublished ? .kept : .refused
    }
  }

  func standing(of known: Known) -> Standing {
    Self.standing(
      known.registration, known.opinion, isPublished: known.node.target == published?.target)
  }

  /// Why clients are not sent to a node; nil for one that may be chosen or stays, and where nothing is known yet.
  func refusal(of known: Known) -> Refusal? {
    guard standing(of: known) == .refused else { return nil }
    switch (known.registration, known.opinion) {
    case (.barred(let refusal), _): return refusal
    case (_, .denied):
      let text = known.state.isAnswer ? "it says that it is \(known.state.name)" : known.state.text
      return Refusal(.denied, text)
    case (_, .unclear): return Refusal(.unexpected, "it answers \(known.state.text)")
    case (_, .lost), (_, .silent):
      if case .untrusted = known.state { return Refusal(.tls, known.state.text) }
      return Refusal(.silent, known.state.text)
    case (.inactive(let text), _): return Refusal(.registration, text)
    case (.critical(let text), _): return Refusal(.critical, text)
    case (.vanished, _), (.hidden, _): return Refusal(.vanished, "it is no longer registered")
    case (.active, _), (.unasked, _): return nil
    }
  }

  /// Those that may be chosen.
  var candidates: [Known] { known.filter { standing(of: $0) == .candidate } }

  /// Why those that may not be chosen are not, where by Consul's word or their own they would have been.
  var forbidden: [String] {
    known.compactMap { known in
      guard case .barred(let refusal) = known.registration, refusal.reason == .forbidden,
        known.isClaiming
      else { return nil }
      return refusal.text
    }
  }

  var decision: Decision {
    if let best { return .publish(best.node) }
    guard let published else {
      let isUnknown = isOpen || known.contains { standing(of: $0) == .unknown }
      let isBlind = !known.isEmpty && known.allSatisfy { $0.opinion == .silent }
      return isUnknown || isBlind ? .keep : .publish(nil)
    }
    let isKept = known.contains { $0.node.target == published.target && standing(of: $0) == .kept }
    return isKept ? .keep : .publish(nil)
  }

  /// Of those that may be chosen: who is published, while one of them is asked since when it is active; the one that has been active for
  /// the shortest time, if all of them have said; else who is published and was asked; else the newest registration as active; else the first by name, so that all redirectors agree.
  private var best: Known? {
    let candidates = candidates
    if candidates.contains(where: \.isBeingDated),
      let incumbent = candidates.first(where: { $0.node.target == published?.target })
    {
      return incumbent
    }
    let times = candidates.compactMap(\.activeSince)
    if times.count == candidates.count, Set(times).count > 1, let latest = times.max() {
      return candidates.first { $0.activeSince == latest }
    }
    return candidates.min { rank($0) < rank($1) }
  }

  /// Smaller is better.
  private func rank(_ known: Known) -> (Int, Int, UInt64, String) {
    let isIncumbent = known.opinion == .active && known.node.target == published?.target
    let registration =
      switch known.registration {
      case .active: 0
      case .inactive, .unasked, .hidden: 1
      case .critical, .vanished, .barred: 2
      }
    return (
      isIncumbent && registration < 2 ? 0 : 1, registration, UInt64.max - known.modifyIndex,
      known.node.name
    )
  }
}

import Redirect

/// What the words of Consul and of the nodes themselves amount to, together.
///
/// Pure, and the whole of it: who publishes decides nothing.
struct Judgement {
  enum Decision: Equatable {
    /// A fact: this node is active, or none is.
    case publish(ActiveNode?)
    /// Nothing is known that would change what is published.
    case keep
  }

  /// Consul's last word; nil where no Consul is asked, or none has answered yet.
  var selection: NodeSelection?
  /// Consul answered the last time it was asked.
  var isConsulCurrent: Bool
  /// What the nodes said; nil where they are not asked.
  var board: ProbeBoard?
  /// Who is published now.
  var incumbent: ActiveNode?
  var permission: TargetGuard

  /// Whatever is known: nobody is published, or kept, whom tokens must not be sent to. Who that is can change while
  /// everything else stays, as when this machine gets another address.
  var decision: Decision {
    let decision = bySources
    let node = if case .publish(let node) = decision { node } else { incumbent }
    if let node, permission.refusal(of: node.target) != nil { return .publish(nil) }
    return decision
  }

  private var bySources: Decision {
    guard let selection, isConsulCurrent else { return byProbes }
    guard let board else { return bySelection(selection) }
    return byBoth(selection, board)
  }

  private func bySelection(_ selection: NodeSelection) -> Decision {
    if let chosen = selection.chosen { return .publish(chosen) }
    // Somebody claims to be active whom tokens must not be sent to: the last good one stays.
    return selection.forbidden.isEmpty ? .publish(nil) : .keep
  }

  /// Without Consul's word: its silence, or no Consul at all.
  private var byProbes: Decision {
    switch board?.verdict {
    case .active(let node): permission.refusal(of: node.target) == nil ? .publish(node) : .keep
    case .some(.none): .publish(nil)
    case .blind, .open, nil: .keep
    }
  }

  /// Consul proposes, and a new target is adopted only when it says itself that it is active.
  private func byBoth(_ selection: NodeSelection, _ board: ProbeBoard) -> Decision {
    let candidates = selection.candidateNodes
    guard !candidates.isEmpty else { return bySelection(selection) }
    let onBoard = candidates.compactMap { candidate in
      board.nodes.first { $0.node.target == candidate.target }
    }
    if let active = board.active(among: onBoard) { return .publish(active) }
    guard let incumbent else {
      return onBoard.contains { $0.state == .unknown } ? .keep : .publish(nil)
    }
    let isCandidate = candidates.contains { $0.target == incumbent.target }
    switch board.state(of: incumbent.target) {
    case .active:
      // Consul's tags lag behind, and who was to follow is not ready.
      return .keep
    case .some(let state) where state.isAnswer:
      return .publish(nil)
    default:
      return isCandidate ? .keep : .publish(nil)
    }
  }
}

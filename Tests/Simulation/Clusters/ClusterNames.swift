@testable import Discovery
import Sys

/// The name servers, as the redirector's resolver shows them: one name for each node, or one for all of them.
struct ClusterNames {
  enum State: Equatable {
    case well, failing
    /// Says nothing until the resolver gives up.
    case hung
    /// An answer has so many of the addresses at the most, and others each time.
    case few(Int)
    /// Of all of them one is named, always the same.
    case only(Int)
  }

  /// What is known under this name stands for every node.
  static let shared = "vault"

  var state = State.well
  private var turn = 0

  mutating func happen(_ event: ClusterEvent) {
    switch event.kind {
    case .failNames: state = event.b & 1 == 0 ? .failing : .hung
    case .fewNames:
      let number = Int(event.b) % 6
      state = number < 3 ? .few(number + 1) : .only(Int(event.a))
    case .findNames: state = .well
    default: break
    }
  }

  /// An answer, and how long it takes.
  mutating func answer(
    _ question: NameQuestion, _ nodes: [ClusterNode]
  ) -> (answer: NameAnswer, milliseconds: Int64) {
    let failure = NameAnswer.failure(LookupFailure(reason: "\(question.host): no answer"))
    switch state {
    case .failing: return (failure, 2)
    case .hung: return (failure, 10_000)
    case .well, .few, .only: break
    }
    var found = nodes.filter { $0.name == question.host || question.host == Self.shared }
    if case .few(let count) = state, found.count > count {
      turn += 1
      found = (0..<count).map { found[($0 + turn) % found.count] }
    }
    if case .only(let number) = state, !found.isEmpty { found = [found[number % found.count]] }
    let list = found.compactMap { node in
      SocketAddress(numeric: node.address, port: 0).map {
        FoundAddress(address: $0, name: node.name)
      }
    }
    return (list.isEmpty ? failure : .success(list), 2)
  }
}

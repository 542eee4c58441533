import Redirect

/// Where a node is asked.
struct NodeEndpoint: Hashable, Sendable {
  /// Whose certificate it has to show: a name, or an address without brackets.
  let target: RedirectTarget
  /// Where `host` is to be found; empty where it is an address, or is to be looked up for each connection.
  let addresses: [String]

  init(_ target: RedirectTarget, addresses: [String] = []) {
    self.target = target
    self.addresses = addresses
  }

  /// One node, though not all of its addresses are known at both.
  func isSame(as other: NodeEndpoint) -> Bool {
    target == other.target
      && (addresses == other.addresses || addresses.contains { other.addresses.contains($0) })
  }
}

/// A node that is asked itself: who it is, and where.
struct NodePlace: Equatable, Sendable {
  /// Where clients are sent, if it is active.
  let node: ActiveNode
  let endpoint: Endpoint
  /// Why clients must not be sent to it; nil where they may.
  var refusal: Refusal?

  enum Endpoint: Equatable, Sendable {
    case known(NodeEndpoint)
    /// Its name has not been looked up yet, or could not be: there is nobody to ask.
    case missing(VaultState)
  }

  init(_ node: ActiveNode, _ endpoint: Endpoint? = nil, refusal: Refusal? = nil) {
    self.node = node
    self.endpoint = endpoint ?? .known(NodeEndpoint(node.target))
    self.refusal = refusal
  }

  /// One node, asked at one place, whatever it is called.
  func isSame(as other: NodePlace) -> Bool {
    guard case .known(let mine) = endpoint, case .known(let its) = other.endpoint else {
      return endpoint == other.endpoint
    }
    return mine.isSame(as: its)
  }
}

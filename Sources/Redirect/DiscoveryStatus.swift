/// How discovery is doing: for health, metrics and the log, never for a request.
package struct DiscoveryStatus: Equatable, Sendable {
  /// Who is asked for the active node.
  package enum Source: String, Sendable {
    case consul, probe
  }

  /// What the last attempts gave.
  package enum State: String, Sendable {
    /// Nothing has been answered yet.
    case starting
    /// The last attempt was answered.
    case current
    /// The last attempt failed: what was known before stays in force.
    case silent
    /// Silent for longer than the stale limit: what was known before is no longer served.
    case expired
  }

  package var source: Source
  package var state: State
  /// When the source last answered.
  package var lastSuccess: Moment?
  /// When the active node was last confirmed, or that there is none: by the source, or by the node's own word.
  package var lastKnown: Moment?
  /// Why the last attempt failed, or what is odd about the last answer; printable ASCII of at most
  /// `errorBytesMax` bytes, without tokens and query strings.
  package var lastError: String?
  /// Consul's index of the last answer, where it gave one.
  package var index: UInt64?
  /// What is known of each node, in a fixed order.
  package var nodes: [NodeReport]

  /// The most bytes of `lastError`.
  package static let errorBytesMax = 256

  package init(
    source: Source, state: State = .starting, lastSuccess: Moment? = nil,
    lastKnown: Moment? = nil, lastError: String? = nil,
    index: UInt64? = nil, nodes: [NodeReport] = []
  ) {
    self.source = source
    self.state = state
    self.lastSuccess = lastSuccess
    self.lastKnown = lastKnown ?? lastSuccess
    self.lastError = lastError
    self.index = index
    self.nodes = nodes
  }
}

/// One node as discovery sees it.
package struct NodeReport: Equatable, Sendable {
  /// Consul's node name, or the probed URL.
  package let name: String
  /// `host:port`, or empty where the node has no usable address.
  package let address: String
  /// `active`, `standby`, `sealed`, … or why nothing is known.
  package let state: String
  /// Why clients are not sent there; nil for the node that they are sent to, and where another one is merely better.
  package let reason: String?

  package init(name: String, address: String, state: String, reason: String? = nil) {
    self.name = name
    self.address = address
    self.state = state
    self.reason = reason
  }
}

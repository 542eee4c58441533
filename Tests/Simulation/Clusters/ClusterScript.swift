/// What happens in a history of a cluster: any bytes are one.
struct ClusterScript: Equatable {
  /// How the cluster, Consul and the redirector are set up.
  var settings: ClusterSettings
  var events: [ClusterEvent]

  init(seed: UInt64) {
    var random = SplitMix(seed: seed)
    settings = ClusterSettings((0..<ClusterSettings.bytes).map { _ in random.byte() })
    events = (0..<8 + random.below(20)).map { _ in
      ClusterEvent(random.byte(), random.byte(), random.byte())
    }
  }

  init(bytes: [UInt8]) {
    settings = ClusterSettings(Array(bytes.prefix(ClusterSettings.bytes)))
    let rest = bytes.dropFirst(ClusterSettings.bytes)
    events = stride(from: rest.startIndex, to: rest.endIndex - 2, by: 3).map {
      ClusterEvent(rest[$0], rest[$0 + 1], rest[$0 + 2])
    }
  }

  var bytes: [UInt8] { settings.encoded + events.flatMap { [$0.code, $0.a, $0.b] } }
}

/// Who is there, and what the redirector is told at its start.
struct ClusterSettings: Equatable {
  static let bytes = 6
  let encoded: [UInt8]

  init(_ bytes: [UInt8]) {
    encoded = (0..<Self.bytes).map { $0 < bytes.count ? bytes[$0] : 0 }
  }

  enum Mode: String, CaseIterable {
    /// Consul's word alone.
    case consul
    /// `--verify-target`
    case verified
    /// `--vault-addr`
    case direct
  }

  var mode: Mode { Mode.allCases[Int(encoded[0]) % 3] }
  var nodeCount: Int { Int(encoded[1]) % 5 + 1 }
  /// The last node may not be sent to.
  var forbidsLast: Bool { encoded[2] & 1 == 1 && nodeCount > 1 }
  /// The first but one has another cluster's tags.
  var requiresTag: Bool { encoded[2] & 2 == 2 && mode != .direct }
  /// One name stands for all nodes.
  var sharesName: Bool { encoded[2] & 4 == 4 && mode == .direct }
  /// Clients are sent to the nodes' own names all the same.
  var usesTemplate: Bool { encoded[2] & 8 == 8 && mode == .direct }
  var staleSeconds: Int64 { [300, 0, 20, 5][Int(encoded[3] & 3)] }
  var graceSeconds: Int64 { [5, 0][Int(encoded[3] >> 2 & 1)] }
  var agentCount: Int { Int(encoded[3] >> 3 & 1) + 1 }
  var randomSeed: UInt64 { UInt64(encoded[4]) << 8 | UInt64(encoded[5]) }
}

extension ClusterSettings: CustomStringConvertible {
  var description: String {
    "\(nodeCount) nodes by \(mode.rawValue), \(sharesName ? "all under one name, " : "")"
      + "\(usesTemplate ? "by a template, " : "")"
      + "\(forbidsLast ? "the last one forbidden, " : "")"
      + "\(requiresTag ? "the second of another cluster, " : "")stale after \(staleSeconds) s, "
      + "grace \(graceSeconds) s, \(agentCount) agents"
  }
}

/// One thing that happens: three bytes, of which any three are one.
struct ClusterEvent: Equatable {
  enum Kind: CaseIterable {
    case advance, elect, split, lose, die, hang, revive, breakTLS, impersonate, seal, slow,
      endConnection
    case syncTags, deregister, register, failSerf, failCheck, passChecks, maintain, unmaintain
    case agentDown, agentHung, agentUp, loseLeader, findLeader, hide, show, rebuild, reload, move
    case failNames, fewNames, findNames, renumber
  }

  let code: UInt8
  let a: UInt8
  let b: UInt8

  init(_ code: UInt8, _ a: UInt8, _ b: UInt8) {
    (self.code, self.a, self.b) = (code, a, b)
  }

  /// Every other one lets time go by.
  var kind: Kind { code & 1 == 0 ? .advance : Kind.allCases[Int(code >> 1) % Kind.allCases.count] }

  /// How long an `advance` is: mostly the time of some probes, sometimes of a whole wait, or of an expiry.
  var milliseconds: Int64 {
    switch a & 7 {
    case 0...3: Int64(b) * 4
    case 4, 5: Int64(b) * 20
    default: Int64(b) * (a >= 0xE0 ? 300 : 40)
    }
  }
}

extension ClusterEvent: CustomStringConvertible {
  var description: String {
    kind == .advance ? "advance \(milliseconds) ms" : "\(kind) a=\(a) b=\(b)"
  }
}

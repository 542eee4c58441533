/// What a node says of itself: the status of its `/v1/sys/health` (domain: Vault's and OpenBao's API documentation).
enum VaultState: Equatable, Sendable {
  /// The most bytes of an answer that are read: 64 KiB.
  static let bodyBytesMax = 64 << 10

  case active
  case standby
  case disasterRecoverySecondary
  case performanceStandby
  /// A standby that has lost the active node.
  case strayedStandby
  case uninitialized
  case sealed
  /// No longer a member of the raft cluster.
  case removed
  /// Not Vault's answer: something else answers there, with this status.
  case unexpected(Int)
  /// Nobody listens there, or the connection was reset: whatever was there is gone.
  case refusing(String)
  /// The handshake failed, or the certificate is not trusted.
  case untrusted(String)
  /// No answer.
  case unreachable(String)
  /// Not asked yet.
  case unknown

  init(_ failure: OutboundFailure) {
    self =
      switch failure.kind {
      case .refused, .reset: .refusing(failure.reason)
      case .tls: .untrusted(failure.reason)
      default: .unreachable(failure.reason)
      }
  }

  /// What `/v1/sys/health` says: the status, where the body is Vault's and agrees with it. A proxy's page, or whatever else lives at
  /// the address by now, is no word of Vault's, whichever status it comes with.
  init(_ answer: OutboundAnswer) {
    let state: VaultState? =
      switch answer.status {
      case 200: .active
      case 429: .standby
      case 472: .disasterRecoverySecondary
      case 473: .performanceStandby
      case 474: .strayedStandby
      case 501: .uninitialized
      case 503: .sealed
      case 530: .removed
      default: nil
      }
    guard let state, let health = HealthAnswer(answer), state.agrees(with: health) else {
      self = .unexpected(answer.status)
      return
    }
    self = state
  }

  private func agrees(with health: HealthAnswer) -> Bool {
    switch self {
    case .active: health.initialized && !health.sealed && !health.standby
    case .standby, .strayedStandby: health.initialized && !health.sealed && health.standby
    case .disasterRecoverySecondary, .performanceStandby: health.initialized && !health.sealed
    case .uninitialized: !health.initialized
    case .sealed: health.initialized && health.sealed
    default: true
    }
  }

  /// The status it was read from; 0 for no answer.
  var status: Int {
    switch self {
    case .active: 200
    case .standby: 429
    case .disasterRecoverySecondary: 472
    case .performanceStandby: 473
    case .strayedStandby: 474
    case .uninitialized: 501
    case .sealed: 503
    case .removed: 530
    case .unexpected(let status): status
    case .refusing, .untrusted, .unreachable, .unknown: 0
    }
  }

  /// What it says of the one question.
  enum Bearing: Equatable, Sendable {
    case affirms, denies
    /// Something answers that is not Vault.
    case unclear
    /// Nothing answers, or nothing that is trusted.
    case silence
  }

  var bearing: Bearing {
    switch self {
    case .active: .affirms
    case .standby, .disasterRecoverySecondary, .performanceStandby, .strayedStandby, .uninitialized,
      .sealed, .removed, .refusing:
      .denies
    case .unexpected: .unclear
    case .untrusted, .unreachable, .unknown: .silence
    }
  }

  /// Vault itself has said so.
  var isAnswer: Bool {
    switch self {
    case .unexpected, .refusing, .untrusted, .unreachable, .unknown: false
    default: true
    }
  }

  /// For health, metrics and the log.
  var name: String {
    switch self {
    case .active: "active"
    case .standby: "standby"
    case .disasterRecoverySecondary: "dr-secondary"
    case .performanceStandby: "performance-standby"
    case .strayedStandby: "standby-without-active"
    case .uninitialized: "uninitialized"
    case .sealed: "sealed"
    case .removed: "removed"
    case .unexpected: "unexpected"
    case .refusing: "refusing"
    case .untrusted: "untrusted"
    case .unreachable: "unreachable"
    case .unknown: "unknown"
    }
  }

  /// The name, and what is to be added to it.
  var text: String {
    switch self {
    case .unexpected(let status): "status \(status), which is not Vault's answer"
    case .refusing(let reason), .untrusted(let reason), .unreachable(let reason):
      "\(name): \(reason)"
    default: name
    }
  }
}

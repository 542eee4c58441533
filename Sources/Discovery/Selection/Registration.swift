import Redirect

/// What Consul says of one node.
enum Registration: Equatable, Sendable {
  /// No Consul is asked.
  case unasked
  /// Registered as the active one, and no check is critical.
  case active
  /// Registered, and not as the active one: why.
  case inactive(String)
  /// Registered, and a check is critical: which.
  case critical(String)
  /// Its last complete answer names it no more; whether that is so new that it may be the agent that restarts.
  case vanished(isRecent: Bool)
  /// Its answer may hide it, or there is none any more.
  case hidden
  /// Clients are not sent there, whatever it says of itself: why.
  case barred(Refusal)
}

/// Why clients are not sent to a node: what health, `--print-target` and the log show, and what metrics count by.
struct Refusal: Equatable, Sendable {
  /// A metric's label.
  enum Reason: String, CaseIterable, Sendable {
    /// It has no usable address.
    case address
    /// An operator has taken it out of service.
    case maintenance
    /// `--require-tag`.
    case requiredTag = "required_tag"
    /// `--allow-target`, or it is ourselves.
    case forbidden
    /// By its tag or its check it is not the active one.
    case registration
    /// A check is critical.
    case critical
    /// It is no longer registered.
    case vanished
    /// It says itself that it is not active, or nobody listens there.
    case denied
    /// It does not answer.
    case silent
    /// Its certificate or the handshake.
    case tls
    /// Something answers there that is not Vault.
    case unexpected
  }

  let reason: Reason
  /// Printable, on one line, without query strings.
  let text: String

  init(_ reason: Reason, _ text: String) {
    self.reason = reason
    self.text = text
  }
}

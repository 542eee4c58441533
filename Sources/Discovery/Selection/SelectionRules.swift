package import Redirect

/// By what the active node is told from the others.
package enum SelectionMode: Hashable, Sendable {
  /// It has the active tag.
  case tag
  /// The named check passes; without a name, every check of the service does.
  case check(id: String?)
  /// By the check while no instance carries a tag that Vault sets itself, else by the tag.
  case auto(id: String?)
}

/// How the active node is chosen from Consul's answer.
package struct SelectionRules: Hashable, Sendable {
  package var mode: SelectionMode
  package var activeTag: String
  /// Instances without all of these are not looked at: a secondary cluster may have the same service name.
  package var requiredTags: [String]
  package var target: TargetRule
  package var scheme: RedirectTarget.Scheme

  package init(
    mode: SelectionMode = .auto(id: nil), activeTag: String = "active",
    requiredTags: [String] = [], target: TargetRule = .node, scheme: RedirectTarget.Scheme = .http
  ) {
    self.mode = mode
    self.activeTag = activeTag
    self.requiredTags = requiredTags
    self.target = target
    self.scheme = scheme
  }

  /// Whether every target by these rules is https.
  package var sendsToHTTPS: Bool {
    if case .template(let template) = target { template.scheme == .https } else { scheme == .https }
  }

  /// What Vault's own registration puts on a service.
  static let vaultTags: Set<String> = ["active", "standby", "performance-standby", "initialized"]
  /// How the ID of Vault's own check ends.
  static let vaultCheckSuffix = ":vault-sealed-check"
}

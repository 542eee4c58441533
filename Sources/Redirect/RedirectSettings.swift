/// What a responder is told once, at the start.
package struct RedirectSettings: Sendable {
  /// `vault-redirector/<version>` is what `Server` says; letters, digits, `.`, `-`, `+`.
  package var version: String
  /// Where the source code is, for the health document.
  package var sourceURL: String
  /// Consul's address for the health document, or nil where no Consul is asked.
  package var consulHostPort: String?
  /// How long health stays good while no node is active; only after one was known.
  package var healthGrace: Duration
  /// How long health stays good while nothing confirms what is known; zero: as long as a node is published.
  package var healthStale: Duration
  /// Called once per published node when a request came whose `Host` is that very node: a loop.
  /// Runs on a worker's thread.
  package var reportLoop: @Sendable (ActiveNode) -> Void

  package init(
    version: String, sourceURL: String, consulHostPort: String?, healthGrace: Duration = .zero,
    healthStale: Duration = .zero, reportLoop: @escaping @Sendable (ActiveNode) -> Void = { _ in }
  ) {
    precondition(version.utf8.count <= 64, "a version longer than 64 bytes")
    self.version = version
    self.sourceURL = sourceURL
    self.consulHostPort = consulHostPort
    self.healthGrace = healthGrace
    self.healthStale = healthStale
    self.reportLoop = reportLoop
  }
}

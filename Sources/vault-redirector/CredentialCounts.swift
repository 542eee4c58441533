import Sys
import Synchronization
import TLS
import Telemetry

/// What `/metrics` shows of certificates, revocation lists and their reloads: written by the main thread, read by whoever asks.
final class CredentialCounts: Sendable {
  /// Of each kind; of more, those that end first. A bundle of authorities may hold hundreds.
  private static let shownMax = 32
  /// Characters of a name: a page has an end, and a name none.
  private static let nameCharactersMax = 96

  private struct State {
    var expiring: [Expiring]
    var ticketKeysModified: Int64?
    var successes = 0
    var failures = 0
    var consecutiveFailures = 0
    var lastReload = MonotonicTime.secondsSinceEpoch()
    var ticketRotations = 0
  }

  private let state: Mutex<State>

  /// - Parameter ticketKeysModified: when the ticket key file was written, in seconds since 1970-01-01T00:00:00Z.
  init(_ expiring: [Expiring], ticketKeysModified: Int64?) {
    state = Mutex(State(expiring: expiring, ticketKeysModified: ticketKeysModified))
  }

  /// - Parameter failed: something could not be taken.
  func reloaded(_ expiring: [Expiring], ticketKeysModified: Int64?, failed: Bool) {
    state.withLock { state in
      state.expiring = expiring
      state.ticketKeysModified = ticketKeysModified
      if failed {
        state.failures += 1
        state.consecutiveFailures += 1
      } else {
        state.successes += 1
        state.consecutiveFailures = 0
        state.lastReload = MonotonicTime.secondsSinceEpoch()
      }
    }
  }

  func rotatedTicketKeys() {
    state.withLock { $0.ticketRotations += 1 }
  }

  func families() -> [MetricFamily] {
    let state = self.state.withLock { $0 }
    return Self.certificateFamilies(state.expiring) + Self.listFamilies(state.expiring) + [
      MetricFamily(
        "tls_reloads_total", .counter, help: "Attempts to load replaced certificates.",
        [
          MetricSample(Double(state.successes), [("result", "success")]),
          MetricSample(Double(state.failures), [("result", "failure")]),
        ]),
      MetricFamily(
        "tls_reload_consecutive_failures", .gauge,
        help: "Attempts since all files were last taken.",
        [MetricSample(Double(state.consecutiveFailures))]),
      MetricFamily(
        "tls_last_reload_timestamp_seconds", .gauge,
        help: "When all files were last taken.",
        [MetricSample(Double(state.lastReload))]),
      MetricFamily(
        "tls_ticket_key_rotations_total", .counter, help: "New session ticket keys.",
        [MetricSample(Double(state.ticketRotations))]),
    ]
      + (state.ticketKeysModified.map { modified in
        [
          MetricFamily(
            "tls_ticket_keys_modified_timestamp_seconds", .gauge,
            help: "When the ticket key file was last written.", [MetricSample(Double(modified))])
        ]
      } ?? [])
  }

  private static func certificateFamilies(_ expiring: [Expiring]) -> [MetricFamily] {
    let roles = [Expiring.Role.leaf, .chain, .clientAuthority]
    let shown = roles.flatMap { role in
      first(expiring) { one in
        guard case .certificate(role, _, let facts) = one else { return nil }
        return [
          ("cn", clipped(facts.commonName ?? "")), ("serial", facts.serial), ("key", facts.key),
          ("role", role.rawValue),
        ]
      }
    }
    return [
      gauge(
        "tls_certificate_not_after_timestamp_seconds", "When a certificate ends.", shown, \.end),
      gauge(
        "tls_certificate_not_before_timestamp_seconds", "When a certificate begins.", shown, \.start
      ),
      gauge(
        "tls_certificate_lifetime_seconds", "From its begin to its end.", shown, \.lifetimeSeconds),
    ]
  }

  private static func listFamilies(_ expiring: [Expiring]) -> [MetricFamily] {
    let shown = first(expiring) { one in
      guard case .revocationList(_, let issuer, _, _) = one else { return nil }
      return [("issuer", clipped(issuer))]
    }
    if shown.isEmpty { return [] }
    return [
      gauge(
        "tls_crl_next_update_timestamp_seconds",
        "When a revocation list ends, and its issuer's clients are refused.", shown, \.end),
      gauge(
        "tls_crl_last_update_timestamp_seconds", "When a revocation list was made.", shown, \.start),
      gauge("tls_crl_lifetime_seconds", "From its making to its end.", shown, \.lifetimeSeconds),
    ]
  }

  private static func gauge(
    _ name: String, _ help: String, _ shown: [(Expiring, Labels)], _ value: (Expiring) -> Int64
  ) -> MetricFamily {
    MetricFamily(name, .gauge, help: help, shown.map { MetricSample(Double(value($0)), $1) })
  }

  private static func clipped(_ name: String) -> String {
    name.count <= nameCharactersMax ? name : name.prefix(nameCharactersMax) + "…"
  }

  private typealias Labels = [(name: String, value: String)]

  /// Those that have labels, and end first; of those with the same labels one, since a scrape takes no sample twice.
  private static func first(
    _ expiring: [Expiring], _ labels: (Expiring) -> Labels?
  ) -> [(Expiring, Labels)] {
    var seen: Set<[String]> = []
    var shown: [(Expiring, Labels)] = []
    for one in expiring.sorted(by: { $0.end < $1.end }) where shown.count < shownMax {
      guard let labels = labels(one), seen.insert(labels.map(\.value)).inserted else { continue }
      shown.append((one, labels))
    }
    return shown
  }
}

import Sys
import Synchronization
import TLS
import Telemetry

/// What `/metrics` shows of certificates and their reloads: written by the main thread, read by whoever asks.
final class CredentialCounts: Sendable {
  private struct State {
    var facts: [CertificateFacts]
    var successes = 0
    var failures = 0
    var lastReload = MonotonicTime.secondsSinceEpoch()
    var ticketRotations = 0
  }

  private let state: Mutex<State>

  init(_ facts: [CertificateFacts]) {
    state = Mutex(State(facts: facts))
  }

  func replaced(_ facts: [CertificateFacts]) {
    state.withLock { state in
      state.facts = facts
      state.successes += 1
      state.lastReload = MonotonicTime.secondsSinceEpoch()
    }
  }

  func failed() {
    state.withLock { $0.failures += 1 }
  }

  func rotatedTicketKeys() {
    state.withLock { $0.ticketRotations += 1 }
  }

  func families() -> [MetricFamily] {
    let state = self.state.withLock { $0 }
    let labelled = { (value: (CertificateFacts) -> Int64) in
      state.facts.map { facts in
        MetricSample(
          Double(value(facts)),
          [("cn", facts.commonName ?? ""), ("serial", facts.serial), ("key", facts.key)])
      }
    }
    return [
      MetricFamily(
        "tls_certificate_not_after_timestamp_seconds", .gauge,
        help: "When the leaf certificate ends.", labelled(\.notAfter)),
      MetricFamily(
        "tls_certificate_not_before_timestamp_seconds", .gauge,
        help: "When the leaf certificate begins.", labelled(\.notBefore)),
      MetricFamily(
        "tls_reloads_total", .counter, help: "Attempts to load replaced certificates.",
        [
          MetricSample(Double(state.successes), [("result", "success")]),
          MetricSample(Double(state.failures), [("result", "failure")]),
        ]),
      MetricFamily(
        "tls_last_reload_timestamp_seconds", .gauge,
        help: "When the certificates in force were loaded.",
        [MetricSample(Double(state.lastReload))]),
      MetricFamily(
        "tls_ticket_key_rotations_total", .counter, help: "New session ticket keys of our own.",
        [MetricSample(Double(state.ticketRotations))]),
    ]
  }
}

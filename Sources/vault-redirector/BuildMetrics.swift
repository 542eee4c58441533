import Sys
import TLS
import Telemetry

/// What `/metrics` shows of the process itself: what it is, and since when it runs.
enum BuildMetrics {
  /// Two families that never change, made once.
  static func register(in metrics: MetricsRegistry) {
    let families = [
      MetricFamily(
        "build_info", .gauge, help: "Always 1; the labels say what runs.",
        [
          MetricSample(
            1,
            [
              ("version", Version.number), ("swift", Version.swift),
              ("openssl", openSSLVersionText()),
            ])
        ]),
      MetricFamily(
        "start_time_seconds", .gauge, help: "When the process started, in seconds since 1970.",
        [MetricSample(Double(MonotonicTime.secondsSinceEpoch()))]),
    ]
    metrics.register { families }
  }
}

import Synchronization

/// What a metric family counts, in Prometheus' words.
package enum MetricKind: String, Sendable {
  case counter, gauge
}

/// One value of a family, with the labels that tell it from the others.
package struct MetricSample: Sendable {
  /// Label names and values, in the order they are written; values are escaped when rendered.
  package let labels: [(name: String, value: String)]
  package let value: Double

  package init(_ value: Double, _ labels: [(name: String, value: String)] = []) {
    self.labels = labels
    self.value = value
  }
}

/// A metric with its help text and all its samples, at the moment of reading.
package struct MetricFamily: Sendable {
  /// Without the common prefix `vault_redirector_`, unless `name` begins with `process_`.
  package let name: String
  package let help: String
  package let kind: MetricKind
  package let samples: [MetricSample]

  package init(_ name: String, _ kind: MetricKind, help: String, _ samples: [MetricSample]) {
    self.name = name
    self.kind = kind
    self.help = help
    self.samples = samples
  }
}

/// Everything that can be counted, asked when somebody reads and at no other time.
package final class MetricsRegistry: Sendable {
  private let collectors = Mutex<[@Sendable () -> [MetricFamily]]>([])

  package init() {}

  /// Adds a source of families. It is called on the thread of whoever reads, so it may only read atomics
  /// and briefly locked state.
  package func register(_ collector: @escaping @Sendable () -> [MetricFamily]) {
    collectors.withLock { $0.append(collector) }
  }

  /// All families in Prometheus' text format, version 0.0.4.
  package func render() -> [UInt8] {
    let current = collectors.withLock { $0 }
    var text = ""
    for family in current.flatMap({ $0() }) {
      let name = family.name.hasPrefix("process_") ? family.name : "vault_redirector_" + family.name
      text += "# HELP \(name) \(escaped(help: family.help))\n"
      text += "# TYPE \(name) \(family.kind.rawValue)\n"
      for sample in family.samples {
        text += name
        if !sample.labels.isEmpty {
          let pairs = sample.labels.map { "\($0.name)=\"\(escaped(label: $0.value))\"" }
          text += "{" + pairs.joined(separator: ",") + "}"
        }
        text += " \(rendered(sample.value))\n"
      }
    }
    return Array(text.utf8)
  }
}

/// Whole numbers without a fraction, as every exporter writes them.
private func rendered(_ value: Double) -> String {
  if let whole = Int64(exactly: value) { return "\(whole)" }
  return "\(value)"
}

private func escaped(help: String) -> String {
  escaped(help, quote: false)
}

private func escaped(label: String) -> String {
  escaped(label, quote: true)
}

private func escaped(_ text: String, quote: Bool) -> String {
  var result = ""
  for character in text.unicodeScalars {
    switch character {
    case "\\": result += "\\\\"
    case "\n": result += "\\n"
    case "\"" where quote: result += "\\\""
    default: result.unicodeScalars.append(character)
    }
  }
  return result
}

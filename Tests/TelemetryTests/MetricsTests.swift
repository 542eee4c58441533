import Telemetry
import Testing

struct MetricsTests {
  @Test func familiesAreWrittenAsPrometheusReadsThem() {
    let registry = MetricsRegistry()
    registry.register {
      [
        MetricFamily(
          "things_total", .counter, help: "Back\\slash and\nline.",
          [
            MetricSample(3, [("kind", "a\"b\\c\nd"), ("other", "")]),
            MetricSample(0.5, [("kind", "x")]),
          ])
      ]
    }
    registry.register { [MetricFamily("process_x", .gauge, help: "X.", [MetricSample(1e15)])] }
    let text = String(decoding: registry.render(), as: UTF8.self)
    #expect(
      text == """
        # HELP vault_redirector_things_total Back\\\\slash and\\nline.
        # TYPE vault_redirector_things_total counter
        vault_redirector_things_total{kind="a\\"b\\\\c\\nd",other=""} 3
        vault_redirector_things_total{kind="x"} 0.5
        # HELP process_x X.
        # TYPE process_x gauge
        process_x 1000000000000000

        """)
  }

  @Test func countersAddAndGaugesSet() {
    let block = CounterBlock()
    block.add(0)
    block.add(0, 41)
    block.set(CounterBlock.capacity - 1, to: 7)
    #expect(block.load(0) == 42)
    #expect(block.load(CounterBlock.capacity - 1) == 7)
    #expect(block.load(1) == 0)
  }
}

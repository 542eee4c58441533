import Synchronization

/// A block of counters that one thread adds to and any thread reads.
///
/// Adding is a plain load and store without a lock or a bus-locked instruction: right because exactly one thread
/// adds. Whoever counts on several threads owns one block a thread and sums them when read.
package final class CounterBlock: Sendable {
  /// The most counters a block can hold.
  package static let capacity = 512

  private let counters: InlineArray<512, Atomic<UInt64>>

  package init() {
    counters = InlineArray { _ in Atomic<UInt64>(0) }
  }

  /// Adds `amount` to the counter at `index` (0..<capacity). Only the owning thread may call this.
  @inline(__always)
  package func add(_ index: Int, _ amount: UInt64 = 1) {
    let value = counters[index].load(ordering: .relaxed)
    counters[index].store(value &+ amount, ordering: .relaxed)
  }

  /// Sets the counter at `index`: for gauges. Only the owning thread may call this.
  @inline(__always)
  package func set(_ index: Int, to value: UInt64) {
    counters[index].store(value, ordering: .relaxed)
  }

  /// The value at `index`, from any thread.
  package func load(_ index: Int) -> UInt64 {
    counters[index].load(ordering: .relaxed)
  }
}

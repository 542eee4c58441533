import Redirect
import Synchronization
import Sys

/// A clock with hands: it goes when it is set.
final class HandClock: Sendable {
  /// Some day in 2026.
  private static let epoch: Int64 = 1_800_000_000
  private let nanoseconds = Atomic<Int64>(1_000_000_000_000)

  var now: MonotonicTime { MonotonicTime(nanoseconds: nanoseconds.load(ordering: .relaxed)) }
  var secondsSinceEpoch: Int64 { Self.epoch + now.nanoseconds / 1_000_000_000 }

  func advance(milliseconds: Int64) {
    nanoseconds.add(milliseconds * 1_000_000, ordering: .relaxed)
  }

  /// The same time for those who tell when a node was published.
  var source: TimeSource {
    TimeSource { [self] in
      Moment(monotonic: .nanoseconds(now.nanoseconds), epochSeconds: secondsSinceEpoch)
    }
  }
}

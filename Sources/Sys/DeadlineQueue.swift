/// Deadlines of many connections, one each, by slot number: a hashed timing wheel (Varghese and Lauck 1987, scheme 6).
///
/// Setting, moving and clearing a deadline is a few stores and never allocates once the queue has grown to the
/// largest slot. A deadline fires in the tick after it is due: up to `tickMilliseconds` late, never early.
package struct DeadlineQueue {
  /// The resolution. Every deadline of a connection is a second or more.
  package static let tickMilliseconds: Int64 = 32
  private static let bucketCount = 1024
  private static let nothing: Int32 = -1

  private struct Entry {
    /// The tick in which it fires; 0 where no deadline is set.
    var tick: Int64 = 0
    var previous: Int32 = DeadlineQueue.nothing
    var next: Int32 = DeadlineQueue.nothing
  }

  private var entries: [Entry] = []
  private var buckets = [Int32](repeating: DeadlineQueue.nothing, count: DeadlineQueue.bucketCount)
  /// Every tick up to here, with it, has been looked at.
  private var currentTick: Int64
  private var armed = 0
  /// No bucket that comes round after `currentTick` and before this tick is occupied: where the search for the next one begins.
  private var nextTick: Int64 = 0

  package init(now: MonotonicTime) {
    currentTick = Self.tick(of: now)
  }

  package var isEmpty: Bool { armed == 0 }

  /// How many slots have a deadline.
  package var count: Int { armed }

  /// Whether `slot` has one.
  package func isSet(_ slot: Int) -> Bool { slot < entries.count && entries[slot].tick != 0 }

  /// Sets or moves the deadline of `slot` (0 or more).
  package mutating func set(_ slot: Int, at time: MonotonicTime) {
    while entries.count <= slot { entries.append(Entry()) }
    let tick = max(Self.tick(of: time) + 1, currentTick + 1)
    if entries[slot].tick == tick { return }
    clear(slot)
    let bucket = Self.bucket(of: tick)
    let first = buckets[bucket]
    entries[slot] = Entry(tick: tick, previous: Self.nothing, next: first)
    if first != Self.nothing { entries[Int(first)].previous = Int32(slot) }
    buckets[bucket] = Int32(slot)
    armed += 1
    nextTick = min(nextTick, currentTick + 1 + (tick - currentTick - 1) % Int64(Self.bucketCount))
  }

  /// Takes the deadline of `slot` away, where it has one.
  package mutating func clear(_ slot: Int) {
    guard slot < entries.count, entries[slot].tick != 0 else { return }
    let entry = entries[slot]
    if entry.previous == Self.nothing {
      buckets[Self.bucket(of: entry.tick)] = entry.next
    } else {
      entries[Int(entry.previous)].next = entry.next
    }
    if entry.next != Self.nothing { entries[Int(entry.next)].previous = entry.previous }
    entries[slot] = Entry()
    armed -= 1
  }

  /// Takes out every deadline that is due, and adds its slot to `due`.
  package mutating func expire(now: MonotonicTime, into due: inout [Int]) {
    let target = Self.tick(of: now)
    if armed == 0 {
      currentTick = max(currentTick, target)
      return
    }
    // After a long sleep one turn of the wheel sees every bucket.
    let first = max(currentTick + 1, target - Int64(Self.bucketCount) + 1)
    guard first <= target else { return }
    for tick in first...target {
      var slot = buckets[Self.bucket(of: tick)]
      while slot != Self.nothing {
        let entry = entries[Int(slot)]
        if entry.tick <= target {
          clear(Int(slot))
          due.append(Int(slot))
        }
        slot = entry.next
      }
    }
    currentTick = target
  }

  /// How long a poller may sleep: until the next occupied bucket comes round, which is no later than the next deadline;
  /// -1 where no deadline is set.
  package mutating func sleepMilliseconds(now: MonotonicTime) -> Int32 {
    guard armed > 0 else { return -1 }
    // Some bucket is occupied, and all of them come round within `bucketCount` ticks.
    nextTick = max(nextTick, currentTick + 1)
    while buckets[Self.bucket(of: nextTick)] == Self.nothing { nextTick += 1 }
    let wait = nextTick * Self.tickMilliseconds - now.nanoseconds / 1_000_000
    return Int32(clamping: max(wait, 0))
  }

  private static func tick(of time: MonotonicTime) -> Int64 {
    time.nanoseconds / (tickMilliseconds * 1_000_000)
  }

  private static func bucket(of tick: Int64) -> Int {
    Int(truncatingIfNeeded: tick) & (bucketCount - 1)
  }
}

import Sys
import Testing

/// The wheel against a plain list of deadlines: same answers, whatever is set, moved and cleared.
struct DeadlineQueueTests {
  private let start = MonotonicTime(nanoseconds: 5_000_000_000)

  @Test func aDeadlineFiresOnceAndNotBeforeItIsDue() {
    var queue = DeadlineQueue(now: start)
    queue.set(3, at: start + .seconds(1))
    var due: [Int] = []
    queue.expire(now: start + .milliseconds(999), into: &due)
    #expect(due.isEmpty)
    queue.expire(now: start + .milliseconds(1064), into: &due)
    #expect(due == [3])
    #expect(queue.isEmpty)
    queue.expire(now: start + .seconds(100), into: &due)
    #expect(due == [3])
  }

  @Test(arguments: [75, 600, 86_400])
  func aDeadlineBeyondOneTurnOfTheWheelWaitsForItsTurn(seconds: Int) {
    var queue = DeadlineQueue(now: start)
    queue.set(0, at: start + .seconds(seconds))
    var due: [Int] = []
    for second in stride(from: 1, to: seconds, by: max(1, seconds / 300)) {
      queue.expire(now: start + .seconds(second), into: &due)
      #expect(due.isEmpty)
    }
    queue.expire(now: start + .seconds(seconds + 1), into: &due)
    #expect(due == [0])
  }

  @Test func movingAndClearingLeaveNothingBehind() {
    var queue = DeadlineQueue(now: start)
    queue.set(1, at: start + .seconds(1))
    queue.set(2, at: start + .seconds(1))
    queue.set(1, at: start + .seconds(9))
    queue.clear(2)
    queue.clear(2)
    queue.clear(77)
    var due: [Int] = []
    queue.expire(now: start + .seconds(2), into: &due)
    #expect(due.isEmpty)
    queue.expire(now: start + .seconds(10), into: &due)
    #expect(due == [1])
  }

  @Test func theSleepIsNeverLongerThanTheNextDeadline() {
    var queue = DeadlineQueue(now: start)
    #expect(queue.sleepMilliseconds(now: start) == -1)
    for seconds in [40, 7, 300] {
      queue.set(seconds, at: start + .seconds(seconds))
      let sleep = Int(queue.sleepMilliseconds(now: start))
      #expect(sleep >= 0 && sleep <= 7_000 + 2 * 32 || seconds == 40)
    }
  }

  @Test func aLongSleepMissesNothing() {
    var queue = DeadlineQueue(now: start)
    for slot in 0..<2000 { queue.set(slot, at: start + .milliseconds(slot * 37)) }
    var due: [Int] = []
    queue.expire(now: start + .seconds(1000), into: &due)
    #expect(due.sorted() == Array(0..<2000))
  }

  @Test(arguments: [UInt64(1), 2, 3])
  func randomWorkAgreesWithAPlainList(seed: UInt64) {
    var random = SplitMix(state: seed)
    var queue = DeadlineQueue(now: start)
    var model: [Int: MonotonicTime] = [:]
    var now = start
    for _ in 0..<5000 {
      let slot = Int(random.next() % 50)
      switch random.next() % 4 {
      case 0:
        queue.clear(slot)
        model[slot] = nil
      case 1:
        now = now + .milliseconds(Int(random.next() % 3000))
        var due: [Int] = []
        queue.expire(now: now, into: &due)
        for slot in due {
          let time = model.removeValue(forKey: slot)
          #expect(time.map { $0 <= now } == true)
        }
        #expect(!model.values.contains { $0 + .milliseconds(64) <= now })
      default:
        let time = now + .milliseconds(Int(random.next() % 80_000))
        queue.set(slot, at: time)
        model[slot] = time
      }
      let sleep = queue.sleepMilliseconds(now: now)
      guard let next = model.values.min() else {
        #expect(sleep == -1)
        continue
      }
      #expect(sleep >= 0 && now + .milliseconds(Int(sleep)) <= max(next, now) + .milliseconds(64))
    }
  }

  @Test func theSleepIsNotShorterThanItMustBe() {
    var queue = DeadlineQueue(now: start)
    queue.set(0, at: start + .seconds(5))
    queue.set(1, at: start + .seconds(20))
    _ = queue.sleepMilliseconds(now: start)
    queue.set(0, at: start + .seconds(30))
    #expect(queue.sleepMilliseconds(now: start) >= 20_000)
    queue.clear(1)
    #expect(queue.sleepMilliseconds(now: start) >= 30_000)
    queue.set(1, at: start + .seconds(2))
    #expect((2_000...2_064).contains(queue.sleepMilliseconds(now: start)))
  }
}

/// A small generator with a seed, so that a failure can be run again (Steele et al. 2014).
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}

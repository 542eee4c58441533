import Synchronization
import Sys

/// Looks names up beside the discovery thread: a few at once, each on a thread of its own, since a resolver lets one wait. The others
/// wait their turn: a catalogue may name thousands.
///
/// Nobody waits for these threads: one that is out when the process ends, ends with it.
final class NameLookups: Sendable {
  /// What became of a question.
  typealias Finished = (question: NameQuestion, answer: NameAnswer)

  /// The most that are asked at once.
  static let threadsMax = 16

  private struct State {
    /// Nobody waits while fewer than `threadsMax` threads are at work.
    var waiting: [NameQuestion] = []
    var threads = 0
    var finished: [Finished] = []

    /// Whether a thread is to be started for a question, which else waits.
    mutating func admit(_ question: NameQuestion) -> Bool {
      guard threads < NameLookups.threadsMax else {
        waiting.append(question)
        return false
      }
      threads += 1
      return true
    }

    /// What a thread that has finished a question asks next; nil where it is to end.
    mutating func next() -> NameQuestion? {
      guard waiting.isEmpty else { return waiting.removeFirst() }
      threads -= 1
      return nil
    }
  }

  private let state = Mutex(State())
  private let waker: Waker
  private let ask: @Sendable (NameQuestion) -> NameAnswer

  /// - Parameters:
  ///   - waker: of the loop that takes what is finished.
  ///   - ask: answers one question, in its own time.
  init(
    waking waker: Waker, ask: @escaping @Sendable (NameQuestion) -> NameAnswer = { $0.ask() }
  ) {
    self.waker = waker
    self.ask = ask
  }

  /// Begins to ask; the answer is among those that `takeFinished` gives, once.
  func start(_ question: NameQuestion) {
    guard state.withLock({ $0.admit(question) }) else { return }
    do throws(SystemError) {
      let thread = try WorkerThread(named: "lookup") { [self] in work(from: question, ask) }
      thread.detach()
    } catch {
      work(from: question) { .failure(LookupFailure(reason: "\($0.host): \(error)")) }
    }
  }

  /// What has been answered since the last call.
  func takeFinished() -> [Finished] {
    state.withLock { state in
      defer { state.finished = [] }
      return state.finished
    }
  }

  /// Finishes this question, and whatever waits.
  private func work(from first: NameQuestion, _ ask: (NameQuestion) -> NameAnswer) {
    var next: NameQuestion? = first
    while let question = next {
      let answer = ask(question)
      next = state.withLock { state in
        state.finished.append((question, answer))
        return state.next()
      }
      waker.wake()
    }
  }
}

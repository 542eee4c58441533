import Synchronization
import Sys

/// Looks names up beside the discovery thread: each question on a thread of its own, since a resolver lets one wait.
///
/// Nobody waits for these threads: one that is out when the process ends, ends with it.
final class NameLookups: Sendable {
  /// What became of a question.
  typealias Finished = (question: NameQuestion, answer: NameAnswer)

  private let finished = Mutex<[Finished]>([])
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
    do throws(SystemError) {
      let thread = try WorkerThread(named: "lookup") { [self] in finish(question, ask(question)) }
      thread.detach()
    } catch {
      finish(question, .failure(LookupFailure(reason: "\(question.host): \(error)")))
    }
  }

  /// What has been answered since the last call.
  func takeFinished() -> [Finished] {
    finished.withLock { list in
      defer { list = [] }
      return list
    }
  }

  private func finish(_ question: NameQuestion, _ answer: NameAnswer) {
    finished.withLock { $0.append((question, answer)) }
    waker.wake()
  }
}

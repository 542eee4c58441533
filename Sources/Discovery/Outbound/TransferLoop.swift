import CCurl
import Glibc
import Synchronization

/// Runs any number of transfers side by side on one thread, and can be woken from another (libcurl's multi interface).
///
/// Confined to that thread, but for its `waker`.
@safe
final class TransferLoop {
  /// What became of a question.
  typealias Finished = (question: Question, result: Result<OutboundAnswer, OutboundFailure>)

  /// What happened in a turn, in its order.
  struct Events {
    var finished: [Finished] = []
    /// Whose idle connection, left open by an answer and watched, has ended: each once.
    var ended: [Question] = []

    var isEmpty: Bool { finished.isEmpty && ended.isEmpty }
  }

  /// The most idle connections that are kept.
  static let connectionsMax = VaultNodes.nodesMax + 1
  /// How long a turn lasts at the most where libcurl cannot wait.
  private static let pauseAfterFailure = Duration.milliseconds(100)

  private var multi: UnsafeMutableRawPointer
  /// Ends the current or the next `turn`, from any thread.
  let waker: Waker
  /// By the address of its handle.
  private var running: [UInt: Transfer] = [:]
  /// The sockets of idle connections that are watched.
  private var idle: [Question: Int32] = [:]
  /// libcurl could not wait in the last turn.
  private(set) var isFailing = false

  init() {
    unsafe multi = Self.makeMulti()
    waker = Waker(UInt(bitPattern: unsafe multi))
  }

  private static func makeMulti() -> UnsafeMutableRawPointer {
    guard let multi = unsafe curl_multi_init() else { fatalError("libcurl is out of memory") }
    // Else libcurl keeps four for each running transfer, and a fifth node would never find its connection again.
    let code = unsafe ccurl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, connectionsMax)
    precondition(code == CURLM_OK, "libcurl refuses an option it was built with")
    return unsafe multi
  }

  deinit {
    cancelAll()
    waker.replace(with: 0)
    // Every easy handle is out, as curl_multi_cleanup(3) asks.
    unsafe curl_multi_cleanup(multi)
  }

  /// Starts to ask.
  func start(_ request: OutboundRequest, for question: Question) {
    let transfer = Transfer(request, for: question)
    running[transfer.id] = transfer
    idle[question] = nil
    let code = unsafe curl_multi_add_handle(multi, transfer.handle)
    precondition(code == CURLM_OK, "libcurl refuses a fresh handle")
  }

  /// Gives up what is being asked; its connection is closed with it. Nothing happens where nobody asks it.
  func cancel(_ question: Question) {
    for transfer in running.values where transfer.question == question { remove(transfer) }
  }

  /// Gives up everything.
  func cancelAll() {
    for transfer in running.values { remove(transfer) }
  }

  /// Gives up everything, and closes all idle connections: whoever is asked next shows its certificate again.
  func forgetConnections() {
    cancelAll()
    idle = [:]
    let old = unsafe multi
    unsafe multi = Self.makeMulti()
    // Whoever was waking the old one has done so by now.
    waker.replace(with: UInt(bitPattern: unsafe multi))
    unsafe curl_multi_cleanup(old)
  }

  /// Lets the transfers proceed, and waits until something happens, `wake` is called, or `timeout` is over.
  func turn(timeout: Duration) -> Events {
    perform()
    var events = Events(finished: takeFinished())
    if !events.isEmpty { return events }
    events.ended = wait(timeout)
    perform()
    events.finished = takeFinished()
    return events
  }

  /// Waits; returns whose idle connections have become readable, which is their end or close to it.
  private func wait(_ timeout: Duration) -> [Question] {
    // libcurl may have closed one of them, and then nobody waits for it. Where its number is somebody else's by now, the worst
    // that comes of it is one early probe: nothing is read here, and a socket is watched once for each answer.
    idle = idle.filter { fcntl($0.value, F_GETFD) >= 0 }
    let watched = Array(idle)
    var sockets = watched.map {
      curl_waitfd(fd: $0.value, events: Int16(CURL_WAIT_POLLIN), revents: 0)
    }
    // Rounded up, or the last fraction of a millisecond would be spent in turning round and round.
    let milliseconds = Int32(
      clamping: max(0, (timeout + .nanoseconds(999_999)).wholeMilliseconds))
    let code = unsafe sockets.withUnsafeMutableBufferPointer { buffer in
      unsafe curl_multi_poll(multi, buffer.baseAddress, UInt32(buffer.count), milliseconds, nil)
    }
    isFailing = code != CURLM_OK
    if isFailing {
      // Memory is out, or the descriptors: without a pause the thread would ask for the same thing at once.
      let pause = min(timeout, Self.pauseAfterFailure)
      Glibc.poll(nil, 0, Int32(clamping: max(1, pause.wholeMilliseconds)))
      return []
    }
    let ended = zip(watched, sockets).filter { $0.1.revents != 0 }.map(\.0.key)
    for question in ended { idle[question] = nil }
    return ended
  }

  private func perform() {
    var count: Int32 = 0
    let code = unsafe curl_multi_perform(multi, &count)
    precondition(code == CURLM_OK, "libcurl's multi handle is unusable")
  }

  private func takeFinished() -> [Finished] {
    var finished: [Finished] = []
    var code = CURLE_OK
    while let handle = unsafe ccurl_finished(multi, &code) {
      guard let transfer = running[UInt(bitPattern: handle)] else { continue }
      let result = transfer.finish(code)
      if case .success = result { idle[transfer.question] = transfer.keptSocket }
      remove(transfer)
      finished.append((transfer.question, result))
    }
    return finished
  }

  private func remove(_ transfer: Transfer) {
    unsafe curl_multi_remove_handle(multi, transfer.handle)
    running[transfer.id] = nil
  }
}

/// Wakes a `TransferLoop`, as long as it lasts.
final class Waker: Sendable {
  /// The address of the multi handle, which whoever holds the lock finds alive; 0 when there is none any more.
  private let handle: Mutex<UInt>

  fileprivate init(_ handle: UInt) {
    self.handle = Mutex(handle)
  }

  /// Before the old handle is cleaned up: whoever was waking it has done so by then.
  fileprivate func replace(with new: UInt) {
    handle.withLock { $0 = new }
  }

  /// May be called from any thread (curl_multi_wakeup(3)).
  func wake() {
    handle.withLock { address in
      // Alive: it is replaced under this lock before it is cleaned up.
      _ = unsafe UnsafeMutableRawPointer(bitPattern: address).map { unsafe curl_multi_wakeup($0) }
    }
  }
}

import CCurl

/// Runs any number of transfers side by side on one thread, and can be woken from another (libcurl's multi interface).
@safe
final class TransferLoop {
  /// What became of a question.
  typealias Finished = (question: Question, result: Result<OutboundAnswer, OutboundFailure>)

  /// The most idle connections that are kept.
  static let connectionsMax = VaultNodes.nodesMax + 1

  private let multi: UnsafeMutableRawPointer
  /// By the address of its handle.
  private var running: [UInt: Transfer] = [:]

  init() {
    guard let multi = unsafe curl_multi_init() else { fatalError("libcurl is out of memory") }
    unsafe self.multi = multi
    // Else libcurl keeps four for each running transfer, and a fifth node would never find its connection again.
    let code = unsafe ccurl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, Self.connectionsMax)
    precondition(code == CURLM_OK, "libcurl refuses an option it was built with")
  }

  deinit {
    cancelAll()
    // Every easy handle is out, as curl_multi_cleanup(3) asks.
    unsafe curl_multi_cleanup(multi)
  }

  /// Starts to ask.
  func start(_ request: OutboundRequest, for question: Question) {
    let transfer = Transfer(request, for: question)
    running[transfer.id] = transfer
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

  /// Lets the transfers proceed, and waits until something happens, `wake` is called, or `timeout` is over.
  ///
  /// - Returns: what has ended, in the order it did.
  func turn(timeout: Duration) -> [Finished] {
    perform()
    let early = takeFinished()
    if !early.isEmpty { return early }
    // Rounded up, or the last fraction of a millisecond would be spent in turning round and round.
    let milliseconds = Int32(
      clamping: max(0, (timeout + .nanoseconds(999_999)).wholeMilliseconds))
    unsafe curl_multi_poll(multi, nil, 0, milliseconds, nil)
    perform()
    return takeFinished()
  }

  /// Ends the current or the next `turn`. May be called from any thread while the loop exists (curl_multi_wakeup(3)).
  func wake() {
    unsafe curl_multi_wakeup(multi)
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

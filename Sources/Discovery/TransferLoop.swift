import CCurl

/// Runs any number of transfers side by side on one thread, and can be woken from another (libcurl's multi interface).
@safe
final class TransferLoop {
  private let multi: UnsafeMutableRawPointer
  /// By the address of its handle.
  private var running: [UInt: Transfer] = [:]

  init() {
    guard let multi = unsafe curl_multi_init() else { fatalError("libcurl is out of memory") }
    unsafe self.multi = multi
  }

  deinit {
    for transfer in running.values { remove(transfer) }
    // Every easy handle is out, as curl_multi_cleanup(3) asks.
    unsafe curl_multi_cleanup(multi)
  }

  /// Starts `request` on a transfer that is not running.
  func start(_ request: OutboundRequest, on transfer: Transfer) {
    precondition(!isRunning(transfer), "a transfer performs one request at a time")
    transfer.prepare(request)
    running[transfer.id] = transfer
    let code = unsafe curl_multi_add_handle(multi, transfer.handle)
    precondition(code == CURLM_OK, "libcurl refuses a fresh handle")
  }

  func isRunning(_ transfer: Transfer) -> Bool {
    running[transfer.id] != nil
  }

  /// Gives a transfer up; its connection is closed with it. Nothing happens where it is not running.
  func cancel(_ transfer: Transfer) {
    if isRunning(transfer) { remove(transfer) }
  }

  /// Lets the transfers proceed, and waits until something happens, `wake` is called, or `timeout` is over.
  ///
  /// - Returns: the transfers that have ended, in the order they did.
  func turn(timeout: Duration) -> [(
    transfer: Transfer, result: Result<OutboundAnswer, OutboundFailure>
  )] {
    perform()
    let early = takeFinished()
    if !early.isEmpty { return early }
    let milliseconds = Int32(clamping: max(0, timeout.wholeMilliseconds))
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

  private func takeFinished()
    -> [(transfer: Transfer, result: Result<OutboundAnswer, OutboundFailure>)]
  {
    var finished: [(transfer: Transfer, result: Result<OutboundAnswer, OutboundFailure>)] = []
    var code = CURLE_OK
    while let handle = unsafe ccurl_finished(multi, &code) {
      guard let transfer = running[UInt(bitPattern: handle)] else { continue }
      let result = transfer.finish(code)
      remove(transfer)
      finished.append((transfer, result))
    }
    return finished
  }

  private func remove(_ transfer: Transfer) {
    unsafe curl_multi_remove_handle(multi, transfer.handle)
    running[transfer.id] = nil
  }
}

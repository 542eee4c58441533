import Sys
import TLS

// The end: lingering, closed.

extension Connection {
  /// Drops what the client still sends, until it closes too.
  func linger(_ worker: Worker, _ reason: CloseReason) -> Step {
    if transport.hasUnsentBytes { return .wait }
    if !isWritingShutDown {
      isWritingShutDown = true
      transport.socket.shutdownWriting()
    }
    guard mayRead else { return .wait }
    for _ in 0..<worker.limits.readBudget {
      switch transport.socket.discard(ReceiveBlock.bytes) {
      case .bytes: continue
      case .wouldBlock:
        mayRead = false
        return .wait
      case .endOfStream, .failed:
        close(worker, reason)
        return .wait
      }
    }
    return .yield
  }

  /// Sends the last bytes and a FIN, and reads on for a while, so that a reset does not destroy what was sent.
  func beginLingering(_ worker: Worker, _ reason: CloseReason) {
    receive.removeAll()
    transport.session?.closeNotify()
    mayRead = true
    enter(.lingering(reason), worker)
    if !worker.outbound.isEmpty { _ = flush(worker) }
  }

  /// Closes a connection on which nothing is under way: with close_notify, without waiting for the client's.
  func closeGracefully(_ worker: Worker, _ reason: CloseReason) {
    transport.session?.closeNotify()
    if !worker.outbound.isEmpty, !flush(worker) { return }
    close(worker, reason)
  }

  /// Closes after a failed read or write; a TLS alert may be on its way to the client.
  func closeBroken(_ worker: Worker, _ reason: CloseReason, _ failure: TLSFailure?) {
    if let failure { worker.logTLSError(failure, self) }
    if worker.outbound.isEmpty || reason == .reset {
      close(worker, reason)
    } else {
      beginLingering(worker, reason)
    }
  }

  /// The one way out: everything is given back, and the reason counted.
  func close(_ worker: Worker, _ reason: CloseReason) {
    if case .closed = phase { return }
    if case .holding = phase { worker.endHold() }
    worker.outbound.removeAll()
    worker.plaintext.removeAll()
    receive.removeAll()
    phase = .closed(reason)
    worker.remove(self, reason)
  }
}

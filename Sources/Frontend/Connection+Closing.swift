import Sys
import TLS

// The end: lingering, closed. None of this sends: what is gathered leaves at the end of a step, or not at all.

extension Connection {
  /// Drops what the client still sends, until it closes too.
  func linger(_ worker: Worker, _ reason: CloseReason, finIsSent: Bool) -> Step {
    if !finIsSent {
      transport.shutdownWriting()
      enter(.lingering(reason, finIsSent: true), since: worker.now, worker)
    }
    while true {
      switch transport.discard() {
      case .bytes: continue
      case .wouldBlock: return .wait
      case .budgetSpent: return .yield
      case .endOfStream, .failed: return close(worker, reason)
      }
    }
  }

  /// Says goodbye, and reads on for a while once that is out, so that a reset does not destroy what was sent.
  func beginLingering(_ worker: Worker, _ reason: CloseReason) {
    receive.removeAll()
    transport.end()
    transport.becomeReadable()
    enter(.lingering(reason, finIsSent: false), since: worker.now, worker)
  }

  /// Closes a connection on which nothing is under way: with close_notify, as far as the kernel takes it, and without
  /// waiting for the client's.
  @discardableResult
  func closeGracefully(_ worker: Worker, _ reason: CloseReason) -> Step {
    transport.sayGoodbye()
    _ = transport.send()
    return close(worker, reason)
  }

  /// Closes after a failed read; a TLS alert may be on its way to the client.
  func closeBroken(_ worker: Worker, _ reason: CloseReason, _ failure: TLSFailure?) -> Step {
    if let failure { worker.logTLSError(failure, self) }
    if reason != .tlsError || transport.unsentBytes == 0 { return close(worker, reason) }
    beginLingering(worker, reason)
    return .again
  }

  /// The descriptor is broken, both directions are gone. What came before the end is still there, and may tell why: a client
  /// that refuses our certificate sends its alert, and resets with what it did not read of our flight. So a handshake
  /// is read once more, and nothing is sent.
  @discardableResult
  func breakOff(on worker: Worker) -> Step {
    var reason = phase.reasonWhenBroken
    if case .handshaking = phase, transport.hasSession {
      transport.becomeReadable()
      switch transport.handshake() {
      case .failed(let failure):
        worker.countHandshakeFailure(failure, self)
        reason = failure.reason == .connectionReset ? .reset : .handshakeFailed
      case .done:
        worker.countHandshake(self)
        reason = .reset
      case .wantsRead, .budgetSpent, .closed: break
      }
    } else if case .readingProxyHeader = phase, transport.hasReceived {
      reason = .reset
    }
    return close(worker, reason)
  }

  /// The one way out: everything is given back, and the reason counted. It cannot fail.
  @discardableResult
  func close(_ worker: Worker, _ reason: CloseReason) -> Step {
    if case .closed = phase { return .closed }
    receive.removeAll()
    transport.discardUnsent()
    enter(.closed(reason), since: worker.now, worker)
    worker.remove(self, reason)
    if let fault = worker.buffers.faults.take() { worker.report(fault, self) }
    return .closed
  }
}

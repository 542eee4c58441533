import HTTP1
import Sys

// Requests in, answers out: readingHead, holding, writingResponse, discardingBody.

extension Connection {
  /// Answers every request that is here whole, then reads on.
  func readHead(_ worker: Worker) -> Step {
    var reads = 0
    while true {
      if !receive.isEmpty {
        switch receive.withBytes({ parser.parse($0) }) {
        case .complete(let head):
          answer(head, worker)
          if !isReadingHead { return .again }
          continue
        case .failed(let error):
          refuse(error, worker)
          return .again
        case .incomplete:
          break
        }
      }
      if worker.hasGathered(self) {
        phase = .writingResponse(then: .readHead)
        return .again
      }
      guard mayRead else { return .wait }
      if reads == worker.limits.readBudget { return .yield }
      reads += 1
      let wasEmpty = receive.isEmpty
      switch read(worker) {
      case .bytes:
        if wasEmpty && requests > 0 { phaseStart = worker.now }
      case .wouldBlock:
        break
      case .endOfStream:
        closeGracefully(worker, receive.isEmpty && requests == 0 ? .noData : .endOfStream)
        return .wait
      case .failed(let reason, let failure):
        closeBroken(worker, reason, failure)
        return .again
      }
    }
  }

  /// Reads once into the receive buffer, and learns whether there is more.
  func read(_ worker: Worker) -> ReadResult {
    let (result, isFull) = receive.withFreeSpace(lending: worker.receiveBlock) { output in
      let result = transport.read(into: &output)
      return (result, output.isFull)
    }
    if case .bytes = result {
      mayRead = isFull || transport.hasPendingBytes
    } else {
      mayRead = false
    }
    return result
  }

  /// Gathers the answer to one request, and decides what comes after it.
  private func answer(_ head: RequestHead, _ worker: Worker) {
    let limits = worker.limits
    let isLast =
      (worker.isDraining && !hasMore(behind: head))
      || (limits.requestsPerConnectionMax > 0 && requests + 1 >= limits.requestsPerConnectionMax)
    let exceedsDiscard =
      if case .length(let bytes) = head.framing { bytes > limits.discardBytesMax } else { false }
    // After a final answer to `Expect: 100-continue` nobody can tell a body from a next request (RFC 9110 §10.1.1).
    let keepsAlive = head.keepsAlive && !isLast && !exceedsDiscard && !head.expectsContinue
    requestStart = heldSince ?? worker.now
    let mayHold = !isHoldOver && limits.holdTimeout > .zero && worker.mayHoldAnother
    let context = ResponseContext(keepsAlive: keepsAlive, date: worker.date, mayHold: mayHold)

    let responder = worker.responders[listenerIndex]
    let room = responder.responseBytesMax + head.target.range.count
    let outcome = receive.withBytes { bytes in
      worker.sink(self).withFreeSpace(atLeast: room) { output in
        responder.respond(to: head, bytes: bytes, context: context, into: &output)
      }
    }
    guard case .answered(let status) = outcome else {
      beginHold(head, worker)
      return
    }
    isHoldOver = false
    heldSince = nil
    requests += 1
    worker.count(status: status, method: head.method)
    if worker.accessLog != .off, worker.logWriter.isEnabled {
      receive.withBytes { logAccess(head, $0, status: status, responder, worker) }
    }
    receive.consume(head.headBytes)
    parser.reset()
    body = BodyDiscard(head.framing, limits: limits)
    if !body.isFinished { dropBodyAtHand() }
    phase = nextPhase(keepsAlive: keepsAlive, worker)
  }

  /// Drops what came of the body together with the head: often all of it.
  private func dropBodyAtHand() {
    guard !receive.isEmpty else { return }
    switch receive.withBytes({ body.discard($0) }) {
    case .needsMore(let used), .finished(let used): receive.consume(used)
    // Left as it is: `discardBody` finds it again, once the answer is out.
    case .tooLarge, .malformed: break
    }
  }

  /// Whether more came than one request, or may have: when we are stopping, that is answered too.
  private func hasMore(behind head: RequestHead) -> Bool {
    if mayRead { return true }
    let rest = UInt64(receive.count - head.headBytes)
    return switch head.framing {
    case .none: rest > 0
    case .length(let bytes): rest > bytes
    case .chunked: rest > 0
    }
  }

  /// Holds the request; its time runs from the first hold on, however often it was asked again meanwhile.
  private func beginHold(_ head: RequestHead, _ worker: Worker) {
    guard worker.beginHold(isFirst: heldSince == nil) else {
      isHoldOver = true
      return answer(head, worker)
    }
    enter(.holding, worker)
    phaseStart = heldSince ?? worker.now
    heldSince = phaseStart
  }

  private func nextPhase(keepsAlive: Bool, _ worker: Worker) -> ConnectionPhase {
    if keepsAlive {
      if !body.isFinished { return .writingResponse(then: .discardBody) }
      let isGatherFull = worker.gatheredBytes(self) >= worker.limits.gatherBytesMax
      return isGatherFull ? .writingResponse(then: .readHead) : .readingHead
    }
    let reason: CloseReason = worker.isDraining ? .drained : .answered
    // A client that has sent all it announced has nothing in flight that a close could answer with a reset.
    let isSilent = body.isFinished && receive.isEmpty && !mayRead
    return .writingResponse(then: isSilent ? .close(reason) : .linger(reason))
  }

  /// Sends what is gathered; what comes next is known.
  func writeResponse(_ worker: Worker, then next: AfterResponse) -> Step {
    if transport.hasUnsentBytes { return .wait }
    if !seal(worker) { return .again }
    switch next {
    case .close(let reason):
      transport.session?.closeNotify()
      guard flush(worker) else { return .wait }
      if transport.hasUnsentBytes { break }
      close(worker, reason)
      return .wait
    case .linger(let reason):
      transport.session?.closeNotify()
      guard flush(worker) else { return .wait }
      if transport.hasUnsentBytes { break }
      beginLingering(worker, reason)
      return .again
    case .readHead:
      guard flush(worker) else { return .wait }
      if transport.hasUnsentBytes { break }
      enter(.readingHead, worker)
      return .again
    case .discardBody:
      // Many clients give up a connection that answers before they have sent all. The kernel keeps the answer until
      // the body is here, and no longer than a fifth of a second.
      transport.socket.cork()
      guard flush(worker) else { return .wait }
      if transport.hasUnsentBytes { break }
      enter(.discardingBody, worker)
      return .again
    }
    phaseStart = worker.now
    return .wait
  }

  /// Encrypts what responders wrote; false where TLS failed and the phase is another.
  private func seal(_ worker: Worker) -> Bool {
    guard isEncrypted, !worker.plaintext.isEmpty else { return true }
    let progress = worker.plaintext.withBytes { transport.session?.write($0) }
    worker.plaintext.removeAll()
    if case .failed(let failure) = progress {
      closeBroken(worker, .tlsError, failure)
      return false
    }
    return true
  }

  /// Waits for an active node; woken by its publication, by the deadline, or by the peer's hangup.
  func hold(_ worker: Worker) -> Step {
    .wait
  }

  /// Asks the responder again: something was published.
  func retryHold(_ worker: Worker) {
    precondition(phase == .holding, "only a held request is asked again")
    worker.endHold()
    phase = .readingHead
    parser.reset()
    advance(on: worker)
  }

  /// The hold is over: the next answer is final.
  func endHold(_ worker: Worker) {
    isHoldOver = true
    retryHold(worker)
  }

  /// Drops the body of the request just answered.
  func discardBody(_ worker: Worker) -> Step {
    var reads = 0
    while true {
      if !receive.isEmpty {
        let result = receive.withBytes { body.discard($0) }
        switch result {
        case .needsMore(let used):
          receive.consume(used)
        case .finished(let used):
          receive.consume(used)
          transport.socket.uncork()
          enter(.readingHead, worker)
          return .again
        case .tooLarge:
          beginLingering(worker, .bodyTooLarge)
          return .again
        case .malformed:
          // The answer is out already: there is nothing to say but goodbye.
          beginLingering(worker, .badRequest)
          return .again
        }
      }
      guard mayRead else { return .wait }
      if reads == worker.limits.readBudget { return .yield }
      reads += 1
      switch read(worker) {
      case .bytes, .wouldBlock:
        break
      case .endOfStream:
        closeGracefully(worker, .endOfStream)
        return .wait
      case .failed(let reason, let failure):
        closeBroken(worker, reason, failure)
        return .again
      }
    }
  }

  /// Answers a head that cannot be served, and closes once the answer is out.
  private func refuse(_ error: RequestError, _ worker: Worker) {
    worker.countBadRequest(error)
    appendError(ErrorResponse(error, method: parser.method), worker)
    enter(.writingResponse(then: .linger(.badRequest)), worker)
  }

  /// The head did not arrive in time: 408 (RFC 9110 §15.5.9).
  func refuseLateHead(_ worker: Worker) {
    var response = ErrorResponse(status: 408, message: "the request head did not arrive in time")
    response.isHead = parser.method == .head
    appendError(response, worker)
    enter(.writingResponse(then: .linger(.headTimeout)), worker)
    advance(on: worker)
  }

  func appendError(_ response: ErrorResponse, _ worker: Worker) {
    worker.count(status: response.status, method: .other)
    let server = worker.server
    let room =
      ErrorResponse.frameBytesMax + response.message.utf8CodeUnitCount + server.count
    worker.sink(self).withFreeSpace(atLeast: room) { output in
      output.append(response, date: worker.date, server: server.span)
    }
  }
}

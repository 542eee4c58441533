import HTTP1
import Sys

// Requests in, answers out: readingHead, holding, writingResponse, discardingBody.

extension Connection {
  /// Answers every request that is here whole, then reads on.
  func readHead(_ worker: Worker) -> Step {
    while true {
      if !receive.isEmpty {
        if requestsLeft == 0 { return .yield }
        switch receive.withBytes({ parser.parse($0) }) {
        case .complete(let head):
          guard transport.isClientTrusted() else { return refuseClient(head, worker) }
          answer(head, heldSince: nil, mayHold: true, worker)
          guard case .writingResponse(then: .readHead) = phase,
            transport.unsentBytes < worker.limits.gatherBytesMax
          else { return .again }
          continue
        case .failed(let error):
          worker.countBadRequest(error)
          let response = ErrorResponse(error, method: parser.method)
          return refuse(response, reason: .badRequest, worker)
        case .incomplete:
          break
        }
      }
      // Answers that are gathered go out before more is read.
      if case .writingResponse = phase { return .again }
      switch transport.read(into: receive) {
      case .bytes:
        if case .readingHead(.begun) = phase { continue }
        let since = if case .readingHead(.due) = phase { self.since } else { worker.now }
        enter(.readingHead(.begun), since: since, worker)
      case .wouldBlock:
        if receive.isEmpty, requests > 0 { becomeIdle(worker) }
        return .wait
      case .budgetSpent: return .yield
      case .endOfStream:
        return closeGracefully(
          worker, receive.isEmpty && requests == 0 ? .noData : .endOfStream)
      case .failed(let reason, let failure):
        return closeBroken(worker, reason, failure)
      }
    }
  }

  /// Nothing of another request is here, as a read has just said; before that a connection is not idle, or somebody could
  /// take its place while its next request waits to be read.
  private func becomeIdle(_ worker: Worker) {
    if case .readingHead(.idle) = phase { return }
    enter(.readingHead(.idle), since: since, worker)
  }

  /// Gathers the answer to one request, and decides what comes after it.
  ///
  /// - Parameters:
  ///   - heldSince: when it was first held; nil where it never was.
  ///   - mayHold: it need not be answered now.
  private func answer(
    _ head: RequestHead, heldSince: MonotonicTime?, mayHold: Bool, _ worker: Worker
  ) {
    let keepsAlive = mayKeepAlive(head, worker)
    let hasHold =
      worker.limits.holdTimeout > .zero && (heldSince != nil || worker.admission.hasHoldLeft)
    let context = ResponseContext(
      keepsAlive: keepsAlive, date: worker.date, mayHold: mayHold && hasHold)

    let responder = worker.responders[listenerIndex]
    let room = responder.responseBytesMax + head.target.range.count
    let before = transport.unsentBytes
    let outcome = receive.withBytes { bytes in
      transport.write(atLeast: room) { output in
        responder.respond(to: head, bytes: bytes, context: context, into: &output)
      }
    }
    switch outcome {
    case nil:
      close(worker, .overflow)
    case .hold where context.mayHold:
      beginHold(head, heldSince: heldSince, worker)
    case .hold:
      worker.buffers.faults.report("a responder holds what may not be held")
      close(worker, .internalError)
    case .answered(let status):
      let cost = 1 + (transport.unsentBytes - before) / worker.limits.turnAnswerBytes
      requestsLeft = max(0, requestsLeft - cost)
      requests += 1
      worker.count(status: status, method: head.method)
      if worker.accessLog != .off, worker.logWriter.isEnabled {
        let start = heldSince ?? worker.now
        receive.withBytes { bytes in
          logAccess(head, bytes, status: status, since: start, responder, worker)
        }
      }
      takeFromBuffer(head, worker)
      finishAnswer(head, keepsAlive: keepsAlive, worker)
    }
  }

  /// Whether another request may follow on this connection.
  private func mayKeepAlive(_ head: RequestHead, _ worker: Worker) -> Bool {
    // After a final answer to `Expect: 100-continue` nobody can tell a body from a next request (RFC 9110 §10.1.1).
    guard head.keepsAlive, !head.expectsContinue else { return false }
    if worker.isDraining, !hasMore(behind: head) { return false }
    let requestsMax = worker.limits.requestsPerConnectionMax
    if requestsMax > 0, requests + 1 >= requestsMax { return false }
    return !exceedsDiscard(head, worker)
  }

  /// The body is longer than what is worth reading.
  private func exceedsDiscard(_ head: RequestHead, _ worker: Worker) -> Bool {
    if case .length(let bytes) = head.framing {
      bytes > worker.limits.discardBytesMax
    } else {
      false
    }
  }

  /// Drops the head that was answered, and what came of its body together with it: often all of it.
  private func takeFromBuffer(_ head: RequestHead, _ worker: Worker) {
    receive.consume(head.headBytes)
    parser.reset()
    // Without a body `body` is as the last request left it: finished.
    if case .none = head.framing { return }
    body = BodyDiscard(head.framing, limits: worker.limits)
    if receive.isEmpty { return }
    switch receive.withBytes({ body.discard($0) }) {
    case .needsMore(let used), .finished(let used): receive.consume(used)
    // Left as it is: `discardBody` finds it again, once the answer is out.
    case .tooLarge, .malformed: break
    }
  }

  /// Whether more came than one request, or may have: when we are stopping, that is answered too.
  private func hasMore(behind head: RequestHead) -> Bool {
    if transport.lookAgain() { return true }
    let rest = receive.count - head.headBytes
    return switch head.framing {
    case .none: rest > 0
    case .length(let bytes): UInt64(clamping: rest) > bytes
    case .chunked: rest > 0
    }
  }

  private func finishAnswer(_ head: RequestHead, keepsAlive: Bool, _ worker: Worker) {
    if keepsAlive {
      if !body.isFinished { transport.cork() }
      let next = body.isFinished ? AfterResponse.readHead : .discardBody
      return enter(.writingResponse(then: next), since: worker.now, worker)
    }
    transport.sayGoodbye()
    let reason: CloseReason =
      worker.isDraining ? .drained : exceedsDiscard(head, worker) ? .bodyTooLarge : .answered
    // Whoever asked for the end himself, and has sent all he announced, sends nothing more but a TLS client's own
    // goodbye. Everybody else may: he does not know yet.
    let isSilent = !head.keepsAlive && body.isFinished && receive.isEmpty && !transport.isReadable
    let next = isSilent ? AfterResponse.close(reason) : .linger(reason)
    enter(.writingResponse(then: next), since: worker.now, worker)
  }

  /// Everything gathered is sent: goes on with what was decided.
  func writeResponse(_ worker: Worker, then next: AfterResponse) -> Step {
    switch next {
    case .readHead:
      enter(.readingHead(.begun), since: worker.now, worker)
    case .discardBody:
      enter(.discardingBody, since: worker.now, worker)
    case .close(let reason) where transport.isOnItsWay:
      return close(worker, reason)
    case .close(let reason), .linger(let reason):
      beginLingering(worker, reason)
    }
    return .again
  }

  // MARK: Holding

  /// Waits for an active node; woken by its publication, by the deadline, or by the peer's hangup.
  func hold() -> Step { .wait }

  /// Holds the request; its time runs from the first hold on, however often it is asked again meanwhile.
  private func beginHold(_ head: RequestHead, heldSince: MonotonicTime?, _ worker: Worker) {
    if heldSince != nil { return }
    if worker.admission.takeHold() {
      enter(.holding(peerHasFinished: false), since: worker.now, worker)
    } else {
      answer(head, heldSince: nil, mayHold: false, worker)
    }
  }

  /// Asks the responder again for the request that is held: something was published, or (`mayHold` false) its time is over.
  func answerHeld(_ worker: Worker, mayHold: Bool) {
    guard case .holding = phase,
      case .complete(let head) = receive.withBytes({ parser.parse($0) })
    else { return worker.buffers.faults.report("a held request is whole") }
    guard transport.isClientTrusted() else {
      refuseClient(head, worker)
      return
    }
    answer(head, heldSince: since, mayHold: mayHold, worker)
  }

  // MARK: Bodies

  /// Drops the body of the request just answered.
  func discardBody(_ worker: Worker) -> Step {
    while true {
      if !receive.isEmpty {
        switch receive.withBytes({ body.discard($0) }) {
        case .needsMore(let used):
          receive.consume(used)
        case .finished(let used):
          receive.consume(used)
          transport.uncork()
          enter(.readingHead(.begun), since: worker.now, worker)
          return .again
        case .tooLarge:
          beginLingering(worker, .bodyTooLarge)
          return .again
        case .malformed(let error):
          worker.countBadRequest(error)
          // The answer is out already: there is nothing to say but goodbye.
          beginLingering(worker, .badRequest)
          return .again
        }
      }
      switch transport.read(into: receive) {
      case .bytes: continue
      case .wouldBlock: return .wait
      case .budgetSpent: return .yield
      case .endOfStream: return closeGracefully(worker, .endOfStream)
      case .failed(let reason, let failure): return closeBroken(worker, reason, failure)
      }
    }
  }

  // MARK: Refusing

  /// Gathers an answer that says what is wrong, and closes for `reason` once it is out.
  @discardableResult
  func refuse(_ response: ErrorResponse, reason: CloseReason, _ worker: Worker) -> Step {
    worker.count(status: response.status, method: parser.method ?? .other)
    let server = worker.server
    let room =
      ErrorResponse.frameBytesMax + response.message.utf8CodeUnitCount + server.count
    let written: Void? = transport.write(atLeast: room) { output in
      output.append(response, date: worker.date, server: server.span)
    }
    guard written != nil else { return close(worker, .overflow) }
    transport.sayGoodbye()
    enter(.writingResponse(then: .linger(reason)), since: worker.now, worker)
    return .again
  }

  /// The client's certificate was good when the connection began, and is no more: 403 (RFC 9110 §15.5.4).
  @discardableResult
  private func refuseClient(_ head: RequestHead, _ worker: Worker) -> Step {
    var response = ErrorResponse(
      status: 403, message: "the client certificate is not accepted any more")
    response.isHead = head.method == .head
    return refuse(response, reason: .clientCertificate, worker)
  }

  /// The head did not arrive in time: 408 (RFC 9110 §15.5.9).
  func refuseLateHead(_ worker: Worker) {
    var response = ErrorResponse(status: 408, message: "the request head did not arrive in time")
    response.isHead = parser.method == .head
    refuse(response, reason: .headTimeout, worker)
  }
}

import HTTP1
import ProxyProtocol
import Sys
import TLS

// Before the first request: readingProxyHeader, handshaking.

/// What a connection knows of its PROXY header.
struct ProxyState {
  /// The client that the header names; nil without a header, or where it names none (LOCAL, UNKNOWN).
  var client: SocketAddress?
  var vpcEndpointID: String?
  /// The header was a load balancer's own check: LOCAL or UNKNOWN.
  var isLocal = false
  /// What the descriptor's low-water mark was raised to.
  fileprivate var lowWater = 1
}

extension Connection {
  /// Takes exactly the PROXY header from the stream, never a byte behind it.
  func readProxyHeader(_ worker: Worker) -> Step {
    guard mayRead else { return .wait }
    let listener = worker.listeners[listenerIndex]
    guard let parser = listener.proxyProtocol.parser else {
      preconditionFailure("a PROXY header is only read where one is expected")
    }
    var peeked = TransferResult.wouldBlock
    // The header stays in the kernel until it is whole: what follows may be for TLS to read.
    let result = worker.receiveBlock.withEmptySpace { output in
      peeked = transport.socket.peek(into: &output)
      return parser.parse(output.span)
    }
    switch peeked {
    case .bytes: break
    case .wouldBlock:
      mayRead = false
      return .wait
    case .endOfStream:
      close(worker, .noData)
      return .wait
    case .failed:
      close(worker, .reset)
      return .wait
    }
    switch result {
    case .incomplete(let needs):
      if peerHasFinished {
        close(worker, .endOfStream)
        return .wait
      }
      mayRead = false
      setLowWater(needs)
      return .wait
    case .complete(let header, let consumed):
      setLowWater(1)
      guard case .bytes(consumed) = transport.socket.discard(consumed) else {
        close(worker, .reset)
        return .wait
      }
      worker.countProxyHeader(header)
      proxy.client = header.source
      proxy.vpcEndpointID = header.vpcEndpointID
      proxy.isLocal = header.command != .proxy
      guard worker.admit(self) else {
        close(worker, .addressLimit)
        return .wait
      }
      enter(listener.isTLS ? .handshaking : .readingHead, worker)
      return .again
    case .failed(let error):
      worker.refuseProxyHeader(error, from: peer)
      close(worker, .proxyHeader)
      return .wait
    }
  }

  /// Wakes us when more is there than what was peeked at: level-triggered polling would spin on a part of a header.
  private func setLowWater(_ bytes: Int) {
    guard bytes != proxy.lowWater else { return }
    proxy.lowWater = bytes
    // Where the option cannot be set, the deadline still bounds the wait.
    try? transport.socket.setReceiveLowWater(bytes)
  }

  /// Takes the TLS handshake as far as it goes.
  func handshake(_ worker: Worker) -> Step {
    guard mayRead else { return .wait }
    if !isEncrypted, !beginSession(worker) {
      close(worker, .handshakeFailed)
      return .wait
    }
    mayRead = false
    switch transport.session?.handshake() {
    case .done:
      worker.countHandshake(self)
      // The request may have come together with the last flight; tickets leave with its answer.
      mayRead = transport.hasPendingBytes
      enter(.readingHead, worker)
      return .again
    case .wantsRead, nil:
      return .wait
    case .closed:
      // Whether the first step or the PROXY header came before: no request was begun.
      close(worker, .noData)
      return .wait
    case .failed(let failure):
      worker.countHandshakeFailure(failure, self)
      failHandshake(failure, worker)
      return .again
    }
  }

  private func beginSession(_ worker: Worker) -> Bool {
    guard let context = worker.tlsContext(for: listenerIndex) else { return false }
    do {
      transport.session = try TLSSession(
        context: context, descriptor: transport.socket.number, output: worker.outbound)
      isEncrypted = true
      return true
    } catch {
      worker.log.error("no TLS session could be made", metadata: ["reason": "\(error)"])
      return false
    }
  }

  /// Tells the client why, in words it understands: an alert, or a 400 in clear text to a client that speaks plain HTTP.
  private func failHandshake(_ failure: TLSFailure, _ worker: Worker) {
    switch failure.reason {
    case .connectionReset:
      worker.outbound.removeAll()
      close(worker, .reset)
    case .httpRequest:
      worker.outbound.removeAll()
      transport.session = nil
      isEncrypted = false
      refusePlainRequest(worker)
      enter(.writingResponse(then: .linger(.handshakeFailed)), worker)
    default:
      if worker.outbound.isEmpty {
        close(worker, .handshakeFailed)
      } else {
        beginLingering(worker, .handshakeFailed)
      }
    }
  }
}

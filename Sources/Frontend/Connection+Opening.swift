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
  /// The peer has shut down its side: what is missing of a header will not come.
  var peerHasFinished = false
}

extension Connection {
  /// The peer has shut down its side: what is missing of a PROXY header will not come, and a held request waits on for its
  /// answer, which the other side can still carry.
  func peerFinished(on worker: Worker) {
    proxy.peerHasFinished = true
    if case .holding(peerHasFinished: false) = phase {
      enter(.holding(peerHasFinished: true), since: since, worker)
    }
  }

  /// Takes exactly the PROXY header from the stream, never a byte behind it.
  func readProxyHeader(_ worker: Worker) -> Step {
    let listener = worker.listeners[listenerIndex]
    guard let parser = listener.proxyProtocol.parser else {
      worker.buffers.faults.report("a PROXY header is read where none is expected")
      return .wait
    }
    let (result, parsed) = transport.readProxyHeader(parser)
    guard let parsed else {
      return switch result {
      case .endOfStream: close(worker, .noData)
      case .failed: close(worker, .reset)
      case .bytes, .wouldBlock, .budgetSpent: .wait
      }
    }
    switch parsed {
    case .incomplete:
      return proxy.peerHasFinished ? close(worker, .endOfStream) : .wait
    case .complete(let header, _):
      worker.countProxyHeader(header)
      proxy.client = header.source
      proxy.vpcEndpointID = header.vpcEndpointID
      guard worker.admit(self) else { return close(worker, .addressLimit) }
      enter(listener.isTLS ? .handshaking : .readingHead(.due), since: worker.now, worker)
      return .again
    case .failed(let error):
      worker.refuseProxyHeader(error, from: peer)
      return close(worker, .proxyHeader)
    }
  }

  /// Takes the TLS handshake as far as it goes.
  func handshake(_ worker: Worker) -> Step {
    if !transport.hasSession, !beginSession(worker) { return close(worker, .handshakeFailed) }
    switch transport.handshake() {
    case .done:
      worker.countHandshake(self)
      enter(.readingHead(.due), since: worker.now, worker)
      // The request may have come together with the last flight: the ticket leaves with its answer.
      return transport.isReadable ? readHead(worker) : .again
    case .wantsRead: return .wait
    case .budgetSpent: return .yield
    case .closed:
      return close(worker, transport.hasReceived ? .endOfStream : .noData)
    case .failed(let failure):
      worker.countHandshakeFailure(failure, self)
      return failHandshake(failure, worker)
    }
  }

  private func beginSession(_ worker: Worker) -> Bool {
    guard let context = worker.tlsContext(for: listenerIndex) else { return false }
    do {
      try transport.beginSession(context)
      return true
    } catch {
      worker.log.error("no TLS session could be made", metadata: ["reason": "\(error)"])
      return false
    }
  }

  /// Tells the client why, in words it understands: an alert, or a 400 in clear text to a client that speaks plain HTTP.
  private func failHandshake(_ failure: TLSFailure, _ worker: Worker) -> Step {
    switch failure.reason {
    case .connectionReset:
      return close(worker, .reset)
    case .httpRequest:
      transport.fallBackToPlain()
      let message: StaticString = "a plain HTTP request was sent to an HTTPS port: use https://"
      return refuse(
        ErrorResponse(status: 400, message: message), reason: .handshakeFailed, worker)
    default:
      if transport.unsentBytes == 0 { return close(worker, .handshakeFailed) }
      beginLingering(worker, .handshakeFailed)
      return .again
    }
  }
}

package import HTTP1
package import ProxyProtocol
package import Sys
package import TLS
package import Telemetry

/// A listening socket, and what is spoken on it.
package struct Listener: Sendable {
  /// What protects the bytes on the wire.
  package enum Security: Sendable {
    case plain
    case tls(TLSContextStore)
  }

  /// Where it stands in metrics and logs: `public` or `admin`.
  package let name: String
  package let socket: ListeningSocket
  package let security: Security
  package let proxyProtocol: ProxyPolicy
  /// Its connections may use the places that are kept when all others are taken.
  package let mayUseReserve: Bool
  /// Makes the responder of one worker: called once on each worker's thread.
  package let makeResponder: @Sendable () -> any Responder

  package init(
    name: String, socket: ListeningSocket, security: Security, proxyProtocol: ProxyPolicy = .off,
    mayUseReserve: Bool = false, makeResponder: @escaping @Sendable () -> any Responder
  ) {
    self.name = name
    self.socket = socket
    self.security = security
    self.proxyProtocol = proxyProtocol
    self.mayUseReserve = mayUseReserve
    self.makeResponder = makeResponder
  }
}

/// Which connections begin with a PROXY header, and who may send one.
package struct ProxyPolicy: Sendable {
  /// Nil where no header is expected.
  let parser: ProxyHeaderParser?
  /// Connections from anywhere else are refused, unless no header is expected at all.
  let sources: [AddressBlock]

  package static let off = ProxyPolicy(mode: .off, sources: [])

  package init(mode: ProxyProtocolMode, sources: [AddressBlock]) {
    parser = ProxyHeaderParser(mode: mode)
    self.sources = sources
  }

  var isOff: Bool { parser == nil }
}

/// What goes into the access log.
package enum AccessLogMode: Sendable {
  case off
  /// One line a request, without the path.
  case withoutPath
  /// One line a request, with the path, never with the query.
  case withPath
}

/// All that the frontend is told at its start.
package struct FrontendConfiguration: Sendable {
  package var listeners: [Listener]
  /// Threads with an event loop each; at least 1.
  package var workers: Int
  package var limits: FrontendLimits
  package var accessLog: AccessLogMode
  /// The value of the Server field.
  package var server: String
  package var log: Log
  /// Takes the lines of the access log.
  package var logWriter: LogWriter

  package init(
    listeners: [Listener], workers: Int, limits: FrontendLimits, accessLog: AccessLogMode,
    server: String, log: Log, logWriter: LogWriter
  ) {
    precondition(workers >= 1, "a frontend has one worker at least")
    self.listeners = listeners
    self.workers = workers
    self.limits = limits
    self.accessLog = accessLog
    self.server = server
    self.log = log
    self.logWriter = logWriter
  }
}

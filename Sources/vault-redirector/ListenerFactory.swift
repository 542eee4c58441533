import Frontend
import Glibc
import Redirect
import Sys
import TLS
import Telemetry

/// Binds the listeners, and gives each its security and its responder.
struct ListenerFactory {
  private let configuration: Configuration
  private let cell: ActiveNodeCell
  private let tls: TLSContextStore?
  private let metrics: MetricsRegistry
  private let log: Log

  init(
    _ configuration: Configuration, cell: ActiveNodeCell, tls: TLSContextStore?,
    metrics: MetricsRegistry, log: Log
  ) {
    self.configuration = configuration
    self.cell = cell
    self.tls = tls
    self.metrics = metrics
    self.log = log
  }

  /// - Throws: an address that cannot be bound, with the option that names it.
  func listeners() throws(StartupError) -> [Listener] {
    var listeners: [Listener] = []
    for address in configuration.listenAddresses {
      listeners.append(publicListener(try bindPublic(address)))
    }
    if let address = configuration.adminAddress {
      let socket = try bind(address, dualStack: false, option: "--admin")
      let (metrics, version, health) = (self.metrics, Version.number, redirectResponder())
      listeners.append(
        Listener(name: "admin", socket: socket, security: .plain, mayUseReserve: true) {
          AdminResponder(metrics: metrics, health: health(), version: version)
        })
    }
    for listener in listeners { report(listener) }
    return listeners
  }

  private func publicListener(_ socket: ListeningSocket) -> Listener {
    Listener(
      name: "public", socket: socket, security: tls.map { .tls($0) } ?? .plain,
      proxyProtocol: configuration.proxyProtocol, makeResponder: redirectResponder())
  }

  /// What makes a responder for each worker.
  private func redirectResponder() -> @Sendable () -> RedirectResponder {
    let log = self.log
    let settings = RedirectSettings(
      version: Version.number, sourceURL: Version.sourceURL,
      consulHostPort: configuration.consulHostPort, healthGrace: configuration.healthGrace,
      healthStale: configuration.healthStale,
      reportLoop: { node in
        log.warning(
          "request refused: its Host is the active node itself, a redirect would be a loop",
          metadata: ["node": "\(node.name)", "target": "\(node.target.origin)"])
      })
    return { [cell] in RedirectResponder(cell: cell, settings: settings, time: .system) }
  }

  /// The default is one socket for both families, or for IPv4 alone on a host without IPv6.
  private func bindPublic(_ address: SocketAddress) throws(StartupError) -> ListeningSocket {
    guard configuration.isDualStack else {
      return try bind(address, dualStack: false, option: "--bind, --port")
    }
    do {
      return try ListeningSocket(
        binding: address, dualStack: true, backlog: configuration.limits.backlog,
        buffers: configuration.limits.socketBuffers)
    } catch {
      guard error.code == EAFNOSUPPORT || error.code == EADDRNOTAVAIL else {
        throw Self.cannotBind(address, error, option: "--port")
      }
      let fallback = SocketAddress(ipv4: 0, port: address.port)
      return try bind(fallback, dualStack: false, option: "--port")
    }
  }

  private func bind(
    _ address: SocketAddress, dualStack: Bool, option: String
  ) throws(StartupError) -> ListeningSocket {
    do {
      return try ListeningSocket(
        binding: address, dualStack: dualStack, backlog: configuration.limits.backlog,
        buffers: configuration.limits.socketBuffers)
    } catch {
      throw Self.cannotBind(address, error, option: option)
    }
  }

  private static func cannotBind(
    _ address: SocketAddress, _ error: SystemError, option: String
  ) -> StartupError {
    StartupError(exitCode: .osError, message: "\(option): cannot listen on \(address): \(error)")
  }

  private func report(_ listener: Listener) {
    log.info(
      "listening",
      metadata: [
        "address": "\(listener.socket.address)", "listener": "\(listener.name)",
        "transport": listener.isTLS ? "tls" : "plain",
      ])
  }
}

@testable import Discovery
import Redirect

/// A watcher with its thread and libcurl, and the events of it in order.
final class LiveFixture {
  let cell: ActiveNodeCell
  let logged = LogCapture()
  let watcher: DiscoveryThread
  private var changes: AsyncStream<String?>.Iterator

  init(
    _ configuration: DiscoveryConfiguration, time: TimeSource = .system,
    findHosts: @escaping @Sendable () -> LocalHosts = LocalHosts.current
  ) {
    let cell = ActiveNodeCell(status: DiscoveryStatus(source: .consul), time: time)
    let (stream, continuation) = AsyncStream.makeStream(of: String?.self)
    cell.observe { continuation.yield(cell.load().node?.target.authority) }
    self.cell = cell
    changes = stream.makeAsyncIterator()
    watcher = DiscoveryThread(
      configuration, cell: cell, log: logged.log, time: time, findHosts: findHosts)
  }

  static func consul(
    _ addresses: [String], environment: [String: String] = [:], wait: Duration = .seconds(60)
  ) throws -> LiveFixture {
    let address = addresses.joined(separator: ",")
    let source = try ConsulSource(
      access: try ConsulAccess(address: address, environment: Environment(environment)),
      rules: SelectionRules(), pollInterval: .milliseconds(1), wait: wait)
    return LiveFixture(DiscoveryConfiguration(source: .consul(source), version: "1.2.3"))
  }

  /// The authority that is published next, or nil for none.
  func nextChange() async -> String? {
    await changes.next() ?? nil
  }
}

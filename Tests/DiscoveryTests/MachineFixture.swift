@testable import Discovery
import Logging
import Redirect
import Synchronization
import Sys
import Telemetry
import Testing

/// A clock that stands still until it is moved.
final class ManualClock: Sendable {
  private let offset = Mutex(Duration.zero)

  func advance(by duration: Duration) {
    offset.withLock { $0 += duration }
  }

  var now: Moment {
    let elapsed = offset.withLock { $0 }
    return Moment(
      monotonic: .seconds(1000) + elapsed,
      epochSeconds: 1_795_301_377 + elapsed.components.seconds)
  }

  var source: TimeSource { TimeSource { [self] in now } }
}

/// Collects what is logged, as `level message key=value …`.
final class LogCapture: Sendable {
  private let captured = Mutex<[String]>([])

  var lines: [String] { captured.withLock { $0 } }

  func lines(containing text: String) -> [String] { lines.filter { $0.contains(text) } }

  var log: Log {
    var log = Log(label: "test") { _ in Handler(capture: self) }
    log.logLevel = .debug
    return log
  }

  fileprivate func append(_ line: String) {
    captured.withLock { $0.append(line) }
  }
}

private struct Handler: LogHandler {
  let capture: LogCapture
  var metadata: Logging.Logger.Metadata = [:]
  var logLevel = Logging.Logger.Level.debug

  subscript(metadataKey key: String) -> Logging.Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let pairs = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    capture.append(
      (["\(event.level)", "\(event.message)"] + pairs).joined(separator: " "))
  }
}

/// The machine without sockets: the test answers what it asks.
final class MachineFixture {
  let clock = ManualClock()
  let cell: ActiveNodeCell
  let logged = LogCapture()
  let machine: DiscoveryMachine
  let metrics = DiscoveryMetrics()
  /// What `probe` numbers.
  var targets: [RedirectTarget] = []

  init(_ configuration: DiscoveryConfiguration, random: Double = 0.5) {
    cell = ActiveNodeCell(status: DiscoveryStatus(source: .consul), time: clock.source)
    machine = DiscoveryMachine(configuration, cell: cell, log: logged.log, metrics: metrics) {
      random
    }
  }

  static func consul(
    address: String = "127.0.0.1:8500", rules: SelectionRules = SelectionRules(),
    environment: [String: String] = [:], staleLimit: Duration = .seconds(300),
    pollInterval: Duration = .seconds(5), targets: TargetGuard = TargetGuard(),
    verifies: Bool = false
  ) throws -> MachineFixture {
    let access = try ConsulAccess(address: address, environment: Environment(environment))
    let source = try ConsulSource(
      access: access, rules: rules, pollInterval: pollInterval,
      verification: verifies ? ProbeSettings(security: OutboundSecurity()) : nil)
    return MachineFixture(
      DiscoveryConfiguration(
        source: .consul(source), staleLimit: staleLimit, targets: targets, version: "1.2.3"))
  }

  static func probes(_ hosts: [String], staleLimit: Duration = .seconds(300)) throws
    -> MachineFixture
  {
    let addresses = try hosts.map { try VaultAddress("https://\($0):8200") }
    let source = try ProbeSource(addresses: addresses, security: OutboundSecurity())
    let fixture = MachineFixture(
      DiscoveryConfiguration(source: .vault(source), staleLimit: staleLimit, version: "1.2.3"))
    fixture.targets = addresses.map(\.target)
    fixture.lookUp()
    return fixture
  }

  var node: String? { cell.load().node?.name }
  var status: DiscoveryStatus { cell.load().status }

  /// What a name's lookup finds; without an entry one address, another for each name.
  var names: [String: [String]] = [:]

  /// Answers the lookups that are due.
  func lookUp() {
    for question in machine.lookupsDue(now: clock.now) {
      lookups += 1
      let number = targets.firstIndex { $0.host == question.host } ?? 0
      let list = (names[question.host] ?? ["192.0.2.\(number + 1)"]).compactMap {
        SocketAddress(numeric: $0, port: 0).map { FoundAddress(address: $0, name: nil) }
      }
      let failure = LookupFailure(reason: "\(question.host): Name or service not known")
      machine.take(list.isEmpty ? .failure(failure) : .success(list), to: question, now: clock.now)
    }
  }

  /// How many names have been looked up.
  var lookups = 0

  /// The questions that are due now.
  func due() -> [(question: Question, request: OutboundRequest)] {
    lookUp()
    let asked = machine.due(now: clock.now)
    for (question, request) in asked {
      if question == .consul { query = request } else { probesOut.append(question) }
    }
    return asked
  }

  /// The probes that are out.
  private var probesOut: [Question] = []

  /// The query that is out to Consul.
  private var query: OutboundRequest?

  /// Moves the clock until the machine wants something, and gives the request to Consul.
  func nextQuery() throws -> OutboundRequest {
    for _ in 0..<10 {
      _ = due()
      if let query {
        self.query = nil
        return query
      }
      let next = try #require(machine.nextAt)
      clock.advance(by: max(.zero, next - clock.now.monotonic))
    }
    throw Stuck()
  }

  struct Stuck: Error {}

  /// Asks and answers once.
  @discardableResult
  func consul(_ answer: OutboundAnswer) throws -> OutboundRequest {
    let request = try nextQuery()
    machine.take(.success(answer), to: .consul, now: clock.now)
    return request
  }

  @discardableResult
  func consulFails(_ reason: String = "Connection refused") throws -> OutboundRequest {
    let request = try nextQuery()
    machine.take(
      .failure(OutboundFailure(kind: .unreachable, reason: reason)), to: .consul, now: clock.now)
    return request
  }

  /// Has every probe that is due or out answered: with a status, or not at all where there is none for its host.
  func probes(_ states: [String: Int]) {
    _ = due()
    let questions = probesOut
    probesOut = []
    for question in questions {
      guard case .probe(.health(let endpoint)) = question else { continue }
      let result: Result<OutboundAnswer, OutboundFailure> =
        states[endpoint.target.host].map { .success(vaultAnswer($0)) }
        ?? .failure(OutboundFailure(kind: .unreachable, reason: "refused"))
      machine.take(result, to: question, now: clock.now)
    }
  }

  /// The question to the node that `probe` numbers, wherever it is.
  func health(of index: Int) -> Question { .probe(.health(endpoint(of: index))) }

  func endpoint(of index: Int) -> NodeEndpoint {
    if case .known(let endpoint)? = machine.nodes?.place(at: targets[index])?.endpoint {
      return endpoint
    }
    return NodeEndpoint(targets[index])
  }

  func probe(_ index: Int, _ status: Int?) {
    let result: Result<OutboundAnswer, OutboundFailure> =
      status.map { .success(vaultAnswer($0)) }
      ?? .failure(OutboundFailure(kind: .timedOut, reason: "timed out"))
    let question = health(of: index)
    probesOut.removeAll { $0 == question }
    machine.take(result, to: question, now: clock.now)
  }
}

/// What a Vault says with this status.
func vaultAnswer(_ status: Int) -> OutboundAnswer {
  var answer = OutboundAnswer(status: status)
  let isStandby = [429, 472, 473, 474].contains(status)
  answer.body = Array(
    """
    {"initialized":\(status != 501),"sealed":\(status == 503 || status == 501),\
    "standby":\(isStandby || status == 503 || status == 501)}
    """.utf8)
  return answer
}

/// An answer of Consul with these entries.
func consulAnswer(_ entries: String, index: String? = "7") -> OutboundAnswer {
  var answer = OutboundAnswer(status: 200)
  answer.body = Array("[\(entries)]".utf8)
  answer.fields["x-consul-index"] = index
  return answer
}

/// One entry of Consul's answer, as short as it may be.
func entry(
  _ name: String, tags: String = #"["active"]"#, address: String = "",
  nodeAddress: String = "10.0.0.1",
  port: String = "8200", modifyIndex: Int = 10, checks: String = "[]", more: String = ""
) -> String {
  """
  {"Node":{"Node":"\(name)","Address":"\(nodeAddress)","TaggedAddresses":{"wan":"198.51.100.1"}},
   "Service":{"ID":"vault:\(name)","Address":"\(address)","Port":\(port),"Tags":\(tags),
   "ModifyIndex":\(modifyIndex)\(more)},"Checks":\(checks)}
  """
}

import Discovery
import Glibc
import Telemetry

/// `--print-target`: asks once who is active, and says what was seen, what was chosen, and why.
struct TargetReport {
  /// What to print, its line ends included.
  let text: String
  /// Success, or 69 where clients would be sent nowhere.
  let exitCode: ExitCode

  /// Asks Consul or the nodes; takes as long as the slowest of them, a quarter of a minute at most.
  ///
  /// - Throws: wrong use, or a file that cannot be read or does not fit.
  init(_ options: Options, environment: [String: String]) throws(StartupError) {
    let configuration = try Configuration(options, environment: environment)
    var discovery = configuration.discovery
    // Bound they are not, but the daemon of these options would refuse to send anybody to them.
    discovery.targets.listeners =
      configuration.listenAddresses + (configuration.adminAddress.map { [$0] } ?? [])
    // The report says all there is to say.
    let table = NodeTable.ask(discovery, log: .silent)
    text = options.discovery.json ? table.json : table.text
    exitCode = table.target == nil ? .unavailable : .success
  }
}

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
    // The report says all there is to say.
    let table = NodeTable.ask(configuration.discovery, log: .silent)
    text = options.discovery.json ? table.json : table.text
    exitCode = table.target == nil ? .unavailable : .success
  }
}

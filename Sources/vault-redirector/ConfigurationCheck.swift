import Sys
import TLS

/// `--check-config`: loads and judges everything, and says what would be in force, a line each.
struct ConfigurationCheck {
  /// What to print.
  let report: String
  let exitCode: ExitCode

  /// Whatever would keep the program from starting makes the exit code 78; what only deserves a warning does not.
  init(_ options: Options, environment: [String: String]) {
    do {
      let configuration = try Configuration(options, environment: environment)
      let warnings = configuration.findings.map { "warning: \($0)" }
      guard let tls = configuration.tls else {
        self.init(warnings + ["TLS: none, the port speaks plain HTTP"], .success)
        return
      }
      let context = try Self.load(tls)
      let findings = context.findings(at: MonotonicTime.secondsSinceEpoch())
      self.init(
        warnings + findings.map { "warning: \($0)" } + context.describe(), .success)
    } catch {
      self.init(["error: \(error.message)"], .configuration)
    }
  }

  private init(_ lines: [String], _ exitCode: ExitCode) {
    report = lines.joined(separator: "\n")
    self.exitCode = exitCode
  }

  private static func load(_ tls: TLSConfiguration) throws(StartupError) -> TLSContext {
    do {
      return try tls.load(tickets: TicketKeyRing())
    } catch {
      throw StartupError(tls: error, in: tls)
    }
  }
}

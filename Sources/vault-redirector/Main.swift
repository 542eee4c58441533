import Glibc
import Sys
import TLS

/// The program: options, configuration, supervisor, exit code.
@main
struct Main {
  static func main() {
    // First of all: a reload asked for while we start must not end us. Until signals are read, the others may.
    SignalReader.block([SIGHUP, SIGUSR1, SIGUSR2])
    // Before anything secret is read. A sandbox that forbids this is told of, and keeps nobody from serving.
    do { try forbidDumps() } catch { warnOfDumps(error) }
    let arguments = Array(CommandLine.arguments.dropFirst())
    // Before anything else uses it: libcurl would start it otherwise, with an exit handler.
    startOpenSSL()
    do {
      let environment = processEnvironment()
      switch try Options.parse(arguments, environment: environment) {
      case .show(let text):
        print(text)
      case .check(let options):
        let check = ConfigurationCheck(options, environment: environment)
        print(check.report)
        exit(check.exitCode.rawValue)
      case .printTarget(let options):
        let report = try TargetReport(options, environment: environment)
        print(report.text, terminator: "")
        exit(report.exitCode.rawValue)
      case .run(let options):
        let configuration = try Configuration(options, environment: environment)
        let exitCode = try Supervisor(configuration).run()
        exit(exitCode.rawValue)
      }
    } catch {
      // One line, and no secret in it: what options and files hold never stands in an error's text.
      writeToStandardError("vault-redirector: \(error.message)\n")
      exit(error.exitCode.rawValue)
    }
  }

  private static func warnOfDumps(_ error: SystemError) {
    writeToStandardError(
      "vault-redirector: \(error): other processes of this user can read what this one holds; "
        + "permit prctl(2) in the sandbox\n")
  }
}

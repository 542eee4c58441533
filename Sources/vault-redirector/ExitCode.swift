/// How the process ends, as sysexits.h numbers it.
enum ExitCode: Int32 {
  case success = 0
  /// The options make no sense.
  case usage = 64
  /// A file that an option names cannot be read.
  case noInput = 66
  /// `--print-target` found no active node.
  case unavailable = 69
  /// The operating system refused something: an address, a thread, a descriptor.
  case osError = 71
  /// A file was read, or options were understood, and they do not fit.
  case configuration = 78
}

/// Why the program does not start: one line for a person, and the exit code for a supervisor.
struct StartupError: Error {
  let exitCode: ExitCode
  let message: String

  static func usage(_ option: String, _ reason: String) -> StartupError {
    StartupError(exitCode: .usage, message: "\(option): \(reason)")
  }
}

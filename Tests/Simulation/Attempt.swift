import Glibc

/// A run of this program in a child, which may crash or hang.
struct Attempt {
  /// What the child reported, line by line.
  private(set) var reports: [Report] = []
  /// All that it wrote.
  let text: String
  /// What became of it: nil where nothing was found.
  private(set) var failure: Failure?

  /// What went wrong, so that two runs can be compared.
  struct Failure {
    /// The invariant, or how the process ended.
    let kind: String
    let detail: String
    /// The operation at which it happened; nil where the process ended without a word.
    let step: Int?
  }

  /// The last script that was begun.
  var lastSeed: UInt64? {
    for case .begins(let seed) in reports.reversed() { return seed }
    return nil
  }

  /// Runs it to its end.
  ///
  /// - Parameter isQuiet: what it writes to standard error is thrown away.
  init(_ arguments: [String], isQuiet: Bool) throws {
    var pipe: [Int32] = [-1, -1]
    // The array has room for the two descriptors that are written.
    guard unsafe Glibc.pipe(&pipe) == 0 else { throw Violation("set-up", "no pipe: \(errno)") }
    for end in pipe { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    let child = try Self.start(arguments, output: pipe[1], isQuiet: isQuiet)
    close(pipe[1])
    text = Self.readAll(pipe[0])
    close(pipe[0])
    var status: Int32 = 0
    while unsafe waitpid(child, &status, 0) < 0, errno == EINTR {}
    reports = text.split(separator: "\n").compactMap { Report(line: $0) }
    failure = failure(status)
  }

  private func failure(_ status: Int32) -> Failure? {
    for case .found(_, let step, let violation) in reports {
      return Failure(kind: violation.invariant, detail: violation.detail, step: step)
    }
    let signal = status & 0x7F
    if signal == 0, status == 0 { return nil }
    if signal == SIGALRM {
      return Failure(kind: "a turn ends", detail: "the process hangs", step: nil)
    }
    let end = signal != 0 ? "signal \(signal)" : "status \(status >> 8)"
    return Failure(kind: "the process goes on", detail: "it ended with \(end)", step: nil)
  }

  private static func start(
    _ arguments: [String], output: Int32, isQuiet: Bool
  ) throws -> pid_t {
    // Begun and destroyed here; the child takes what it says.
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    _ = unsafe posix_spawn_file_actions_adddup2(&actions, output, 1)
    if isQuiet {
      unsafe posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
    }
    // The copies live until the call is over, and are freed then.
    let words = ["Simulation", "--child"] + arguments
    let vector = unsafe words.map { (word: String) in unsafe strdup(word) } + [nil]
    defer { unsafe vector.forEach { unsafe free($0) } }
    var child = pid_t()
    let code = unsafe posix_spawn(&child, "/proc/self/exe", &actions, nil, vector, environ)
    guard code == 0 else { throw Violation("set-up", "no child: \(code)") }
    return child
  }

  private static func readAll(_ number: Int32) -> String {
    var text: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      // At most as many bytes as the array has are written.
      let count = unsafe read(number, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      if count <= 0 { break }
      text += buffer[..<count]
    }
    return String(decoding: text, as: UTF8.self)
  }
}

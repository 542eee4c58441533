import Glibc
import Synchronization

/// A program run by a test, with its output in a file: no pipe to fill, no thread to empty it.
final class Subprocess {
  struct Failed: Error, CustomStringConvertible {
    let description: String
  }

  private let process: pid_t
  private let outputPath: String

  /// Starts `arguments[0]`, found by PATH, with standard output and error in one file and `input`
  /// to read.
  init(_ arguments: [String], input: String = "") throws {
    let inputPath = try Scratch.write(input, "input")
    outputPath = Scratch.file("output")
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, 0, inputPath, O_RDONLY, 0)
    unsafe posix_spawn_file_actions_addopen(&actions, 1, outputPath, O_WRONLY | O_CREAT, 0o600)
    unsafe posix_spawn_file_actions_adddup2(&actions, 1, 2)
    // The strings are copied, and freed once the child has its own.
    var vector = unsafe arguments.map { unsafe strdup($0) } + [nil]
    defer { unsafe vector.forEach { unsafe free($0) } }
    var process: pid_t = 0
    let result = unsafe posix_spawnp(&process, arguments[0], &actions, nil, &vector, environ)
    if result != 0 { throw Failed(description: "cannot run \(arguments[0]): \(result)") }
    self.process = process
  }

  /// Waits for the end and answers with the exit status and the output.
  func wait() throws -> (status: Int32, output: String) {
    var status: Int32 = 0
    while unsafe waitpid(process, &status, 0) < 0 {
      if errno != EINTR { throw Failed(description: "waitpid: \(errno)") }
    }
    let exitStatus = status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
    return (exitStatus, try Scratch.read(outputPath))
  }

  /// Runs to the end; anything but exit status 0 is thrown, with the output.
  @discardableResult
  static func run(_ arguments: String...) throws -> String {
    let (status, output) = try Subprocess(arguments).wait()
    if status != 0 {
      throw Failed(description: "\(arguments.joined(separator: " ")): exit \(status)\n\(output)")
    }
    return output
  }
}

/// Files of this test run, in one directory that goes when the process does.
enum Scratch {
  static let directory: String = {
    let base = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
    var template = Array("\(base)/tlstests.XXXXXX".utf8CString)
    // mkdtemp writes the name over the template's last six characters.
    let path = unsafe template.withUnsafeMutableBufferPointer { buffer in
      unsafe buffer.baseAddress.flatMap { unsafe mkdtemp($0) }.map { unsafe String(cString: $0) }
    }
    atexit { _ = try? Subprocess.run("rm", "-rf", Scratch.directory) }
    return path ?? base
  }()

  private static let count = Atomic<Int>(0)

  /// A path nobody else uses, ending in `name`.
  static func file(_ name: String) -> String {
    "\(directory)/\(count.add(1, ordering: .relaxed).newValue)-\(name)"
  }

  /// Writes `text` to a new file that ends in `name` and answers with its path.
  static func write(_ text: String, _ name: String) throws -> String {
    let path = file(name)
    try write(text, to: path)
    return path
  }

  /// Replaces what is at `path`, for its owner's eyes only.
  static func write(_ text: String, to path: String) throws {
    guard let stream = unsafe fopen(path, "we") else {
      throw Subprocess.Failed(description: "cannot write \(path): \(errno)")
    }
    fchmod(unsafe fileno(stream), 0o600)
    unsafe fputs(text, stream)
    unsafe fclose(stream)
  }

  /// A new file with the content of both.
  static func join(_ first: String, _ second: String) throws -> String {
    try write(try read(first) + read(second), "joined.pem")
  }

  static func read(_ path: String) throws -> String {
    guard let stream = unsafe fopen(path, "re") else {
      throw Subprocess.Failed(description: "cannot read \(path): \(errno)")
    }
    defer { unsafe fclose(stream) }
    var text: [UInt8] = []
    while case let character = unsafe getc(stream), character != EOF {
      text.append(UInt8(truncatingIfNeeded: character))
    }
    return String(decoding: text, as: UTF8.self)
  }
}

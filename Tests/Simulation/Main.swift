import Glibc

@main
enum Main {
  static func main() {
    guard let options = Options(Array(CommandLine.arguments.dropFirst())), !options.needsHelp else {
      say(Options.usage)
      exit(64)
    }
    if options.isOfClusters { exit(ClusterRunner(options: options).run()) }
    do {
      exit(options.isChild ? try runChild(options) : try Supervisor(options: options).run())
    } catch {
      say("\(error)\n")
      exit(70)
    }
  }

  private static func runChild(_ options: Options) throws -> Int32 {
    let child = Child(options: options)
    if let script = options.script { return try child.run(script) }
    return try child.runSeeds()
  }

  static func say(_ text: String) {
    let bytes = Array(text.utf8)
    // The array is readable for the length of the call.
    _ = unsafe bytes.withUnsafeBytes { unsafe write(1, $0.baseAddress, $0.count) }
  }
}

/// Has a child live the scripts, and makes the most of what it finds.
struct Supervisor {
  let options: Options

  func run() throws -> Int32 {
    // A crash is expected, and its backtrace takes seconds.
    // Before any other thread is there.
    _ = unsafe setenv("SWIFT_BACKTRACE", "enable=no", 1)
    if let script = options.script { return try run(script) }
    if let corpus = options.corpus, try !runCorpus(corpus) { return 1 }
    let start = time(nil)
    let attempt = try Attempt(arguments, isQuiet: false)
    guard let failure = attempt.failure else {
      for case .ended(let scripts, let lives) in attempt.reports {
        Main.say(
          "\(lives) lives, \(scripts) scripts, seed \(options.seed), \(time(nil) - start) s: "
            + "nothing found\n")
      }
      return 0
    }
    let seed = attempt.lastSeed ?? options.seed
    Main.say("FOUND after \(time(nil) - start) s, seed \(seed)\n")
    var generator = Generator(seed: seed)
    try explain(generator.script(), failure)
    Main.say("  again: --seed \(seed) --scripts 1\n")
    return 1
  }

  private var arguments: [String] {
    var arguments = ["--seed", "\(options.seed)", "--patience", "\(options.patience)"]
    if options.lives < .max { arguments += ["--lives", "\(options.lives)"] }
    if options.seconds < .max { arguments += ["--seconds", "\(options.seconds)"] }
    if options.scripts < .max { arguments += ["--scripts", "\(options.scripts)"] }
    return arguments
  }

  /// Lives the scripts of a directory; false where something is found.
  private func runCorpus(_ directory: String) throws -> Bool {
    let names = Descriptors.names(in: directory)
    if names.isEmpty { throw Violation("set-up", "no scripts in \(directory)") }
    for name in names.sorted() {
      let script = Script(bytes: Descriptors.contents(of: "\(directory)/\(name)"))
      let attempt = try Attempt(
        ["--script", script.hexadecimal, "--patience", "\(options.patience)"], isQuiet: false)
      guard let failure = attempt.failure else { continue }
      Main.say("FOUND after 0 s, script \(name)\n")
      try explain(script, failure)
      return false
    }
    return true
  }

  private func run(_ script: Script) throws -> Int32 {
    let attempt = try Attempt(
      ["--script", script.hexadecimal, "--patience", "\(options.patience)"]
        + (options.isTracing ? ["--trace"] : []), isQuiet: false)
    if options.isTracing { Main.say(attempt.text) }
    guard let failure = attempt.failure else {
      Main.say("nothing found\n")
      return 0
    }
    Main.say("FOUND\n")
    try explain(script, failure)
    return 1
  }

  private func explain(_ script: Script, _ failure: Attempt.Failure) throws {
    Main.say("  invariant: \(failure.kind)\n  \(failure.detail)\n")
    if let step = failure.step {
      Main.say("  at operation \(step) of \(script.operations.count)\n")
    }
    var shrinker = Shrinker(script, failure, seconds: options.shrinkSeconds)
    if options.shrinkSeconds > 0 { try shrinker.shrink() }
    let shortest = shrinker.script
    Main.say(
      "  the shortest script of \(shrinker.attempts) attempts, in a world of \(shortest.settings):\n"
    )
    for (index, operation) in shortest.operations.enumerated() {
      Main.say("    \(index) \(operation)\n")
    }
    Main.say("  \(shrinker.failure.detail)\n  again: --script \(shortest.hexadecimal)\n")
  }
}

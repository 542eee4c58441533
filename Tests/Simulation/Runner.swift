import Glibc

/// Lives scripts in this process.
struct Runner {
  let materials: Materials
  /// Tells of every client at the end.
  var isTracing = false

  /// What a script came to.
  struct Outcome {
    var lives = 0
    /// Nil where every invariant held.
    var violation: Violation?
    /// The operation at which it did not.
    var step = 0
  }

  init() throws {
    signal(SIGPIPE, SIG_IGN)
    Descriptors.relieve()
    materials = try Materials()
  }

  func run(_ script: Script) -> Outcome {
    var outcome = Outcome()
    let descriptors = Descriptors.count()
    do {
      let world = try World(script.settings, materials)
      defer {
        outcome.lives = world.lives
        Descriptors.relieve()
        if isTracing { for client in world.all { Main.say("\(client)\n") } }
      }
      try world.live(script) { outcome.step = $0 }
    } catch let violation as Violation {
      outcome.violation = violation
    } catch {
      outcome.violation = Violation("set-up", "\(error)")
    }
    let left = Descriptors.count() - descriptors
    if outcome.violation == nil, left != 0 {
      outcome.violation = Violation("nothing is left at the end", "descriptors: \(left)")
    }
    return outcome
  }
}

/// The lines that a child of this program writes, for its parent.
enum Report {
  case begins(seed: UInt64)
  case found(seed: UInt64, step: Int, Violation)
  case ended(scripts: Int, lives: Int)

  var line: String {
    switch self {
    case .begins(let seed): "begins\t\(seed)\n"
    case .found(let seed, let step, let violation):
      "found\t\(seed)\t\(step)\t\(violation.invariant)\t"
        + violation.detail.map { $0.isNewline || $0 == "\t" ? " " : "\($0)" }.joined() + "\n"
    case .ended(let scripts, let lives): "ended\t\(scripts)\t\(lives)\n"
    }
  }

  init?(line: some StringProtocol) {
    let words = line.split(separator: "\t", omittingEmptySubsequences: false)
    switch words.first {
    case "begins" where words.count == 2:
      self = .begins(seed: UInt64(words[1]) ?? 0)
    case "found" where words.count == 5:
      self = .found(
        seed: UInt64(words[1]) ?? 0, step: Int(words[2]) ?? 0,
        Violation(String(words[3]), String(words[4])))
    case "ended" where words.count == 3:
      self = .ended(scripts: Int(words[1]) ?? 0, lives: Int(words[2]) ?? 0)
    default: return nil
    }
  }

  func write() {
    let bytes = Array(line.utf8)
    // The array is readable for the length of the call; a parent that is gone needs no report.
    _ = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(1, $0.baseAddress, $0.count) }
  }
}

/// The part of a run that may crash or hang: it is lived in a child.
struct Child {
  let options: Options

  func runSeeds() throws -> Int32 {
    let runner = try Runner()
    let start = time(nil)
    var (scripts, lives) = (0, 0)
    var seed = options.seed
    while lives < options.lives, time(nil) - start < options.seconds, scripts < options.scripts {
      var generator = Generator(seed: seed)
      let script = generator.script()
      Report.begins(seed: seed).write()
      alarm(options.patience)
      let outcome = runner.run(script)
      scripts += 1
      lives += outcome.lives
      if let violation = outcome.violation {
        Report.found(seed: seed, step: outcome.step, violation).write()
        return 1
      }
      seed &+= 1
    }
    Report.ended(scripts: scripts, lives: lives).write()
    return 0
  }

  func run(_ script: Script) throws -> Int32 {
    var runner = try Runner()
    runner.isTracing = options.isTracing
    alarm(options.patience)
    let outcome = runner.run(script)
    if let violation = outcome.violation {
      Report.found(seed: 0, step: outcome.step, violation).write()
      return 1
    }
    Report.ended(scripts: 1, lives: outcome.lives).write()
    return 0
  }
}

import Glibc

/// Looks for the shortest script that fails in the same way: leaves operations out, ever fewer at
/// once (Zeller's delta debugging), then makes what is left plainer.
struct Shrinker {
  private(set) var script: Script
  private(set) var failure: Attempt.Failure
  private(set) var attempts = 0
  private let patience: Int
  private let end: Int

  init(_ script: Script, _ failure: Attempt.Failure, seconds: Int) {
    self.script = script
    self.failure = failure
    // A hang costs as long as it is waited for.
    patience = failure.detail == "the process hangs" ? 3 : 10
    end = time(nil) + seconds
  }

  private var hasTime: Bool { time(nil) < end }

  mutating func shrink() throws {
    // What follows the operation at which it failed may only be needed to see it.
    if let step = failure.step, step + 1 < script.operations.count {
      _ = try keep(script.operations.prefix(step + 1))
    }
    var size = script.operations.count / 2
    while size > 0, hasTime {
      var start = 0
      while start < script.operations.count, hasTime {
        let end = min(start + size, script.operations.count)
        let rest = script.operations[..<start] + script.operations[end...]
        if try !keep(rest) { start = end }
      }
      size /= 2
    }
    try plainSettings()
    try plainOperations()
  }

  private mutating func plainSettings() throws {
    for index in 0..<Settings.bytes where script.settings.encoded[index] != 0 && hasTime {
      var plainer = script
      plainer.settings.encoded[index] = 0
      _ = try keep(plainer)
    }
  }

  private mutating func plainOperations() throws {
    for index in script.operations.indices where hasTime {
      for change: (inout Operation) -> Void in [
        { $0.skipsTurn = false }, { $0.b = 0 }, { $0.a = 0 },
      ] where hasTime {
        var plainer = script
        change(&plainer.operations[index])
        if plainer != script { _ = try keep(plainer) }
      }
    }
  }

  private mutating func keep(_ operations: some Sequence<Operation>) throws -> Bool {
    try keep(Script(settings: script.settings, operations: Array(operations)))
  }

  private mutating func keep(_ candidate: Script) throws -> Bool {
    attempts += 1
    let attempt = try Attempt(
      ["--script", candidate.hexadecimal, "--patience", "\(patience)"], isQuiet: true)
    guard let found = attempt.failure, found.kind == failure.kind else { return false }
    script = candidate
    failure = found
    return true
  }
}

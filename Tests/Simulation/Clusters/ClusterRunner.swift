import Glibc

/// Lives histories of clusters: nothing is real in them, so that a thousand take a second.
struct ClusterRunner {
  let options: Options

  /// At which event it failed, and how.
  private typealias Failure = (step: Int, violation: Violation)

  func run() -> Int32 {
    if let bytes = options.scriptBytes { return explain(ClusterScript(bytes: bytes)) ? 0 : 1 }
    let start = time(nil)
    var (histories, seed) = (0, options.seed)
    while histories < options.lives, time(nil) - start < options.seconds,
      histories < options.scripts
    {
      let script = ClusterScript(seed: seed)
      if failure(of: script) != nil {
        Main.say("FOUND after \(time(nil) - start) s, seed \(seed)\n")
        _ = explain(script)
        Main.say("  again: --clusters --seed \(seed) --scripts 1\n")
        return 1
      }
      histories += 1
      seed &+= 1
    }
    Main.say(
      "\(histories) histories of clusters, seed \(options.seed), \(time(nil) - start) s: nothing found\n"
    )
    return 0
  }

  private func failure(of script: ClusterScript, isTracing: Bool = false) -> Failure? {
    var step = -1
    do {
      let world = try ClusterWorld(script.settings)
      world.isTracing = isTracing
      try world.live(script) { step = $0 }
      return nil
    } catch let violation as Violation {
      return (step, violation)
    } catch {
      return (step, Violation("set-up", "\(error)"))
    }
  }

  /// Tells of the shortest script that fails in the same way; true where none does.
  private func explain(_ script: ClusterScript) -> Bool {
    guard var found = failure(of: script, isTracing: options.isTracing) else {
      Main.say("nothing found\n")
      return true
    }
    var shortest = script
    shortest.events = Array(script.events.prefix(found.step + 1))
    let end = time(nil) + options.shrinkSeconds
    func keep(_ candidate: ClusterScript) -> Bool {
      guard time(nil) < end, let next = failure(of: candidate),
        next.violation.invariant == found.violation.invariant
      else { return false }
      (shortest, found) = (candidate, next)
      return true
    }
    _ = keep(shortest)
    var size = max(1, shortest.events.count / 2)
    while size > 0, time(nil) < end {
      var start = 0
      while start < shortest.events.count {
        var candidate = shortest
        candidate.events.removeSubrange(start..<min(start + size, candidate.events.count))
        if !keep(candidate) { start += size }
      }
      size /= 2
    }
    for index in 0..<ClusterSettings.bytes {
      var bytes = shortest.bytes
      bytes[index] = 0
      _ = keep(ClusterScript(bytes: bytes))
    }
    Main.say("  invariant: \(found.violation.invariant)\n  \(found.violation.detail)\n")
    Main.say("  the shortest script, in a world of \(shortest.settings):\n")
    for (index, event) in shortest.events.enumerated() { Main.say("    \(index) \(event)\n") }
    Main.say("  again: --clusters --script \(shortest.bytes.hexadecimal)\n")
    return false
  }
}

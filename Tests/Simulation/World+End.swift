import Glibc

// How a world ends: first everything that is under way comes to its end, then all time passes.

extension World {
  /// Runs a whole script.
  ///
  /// - Parameter step: is told the number of each operation before it runs.
  func live(_ script: Script, step: (Int) -> Void) throws(Violation) {
    for (index, operation) in script.operations.enumerated() {
      step(index)
      try run(operation)
      if probe.isFinished { break }
    }
    step(script.operations.count)
    try settle()
    try checkConnections()
    for client in all { try checkAnswered(client) }
    try outlive()
  }

  /// Descriptors are there again, all gates are open, a node is active: nothing needs time any
  /// more.
  private func settle() throws(Violation) {
    Descriptors.relieve()
    scarceTurns = 0
    publish(generation > 0 && nodes[generation] == 1 ? 2 : 1)
    for client in all where client.isOpen {
      client.gate = []
      setReading(client)
      try pump(client)
    }
    var (quiet, waits) = (0, 0)
    for _ in 0..<50_000 {
      let before = progress
      try turn()
      quiet = before == progress ? quiet + 1 : 0
      if quiet == 0 { waits = 0 }
      if quiet <= 3 || probe.isAwake { continue }
      if !isOwed || waits > 60 { return }
      // The kernel has timers of its own, for windows that were small.
      usleep(10_000)
      waits += 1
    }
    throw Violation("everything comes to an end", "bytes move on and on")
  }

  /// A number that grows with whatever happens.
  var progress: Int {
    bytesMoved + closed + probe.countedAccepted + probe.countedRequests
  }

  /// Takes turns until nothing moves, or for long enough.
  private func calm() throws(Violation) {
    var quiet = 0
    for _ in 0..<50_000 where quiet < 3 {
      let before = progress
      try turn()
      quiet = before == progress ? quiet + 1 : 0
    }
  }

  /// Somebody honest still waits for an answer.
  private var isOwed: Bool {
    all.contains { client in
      client.isHonest && client.end == nil && client.connection?.isLiving == true
        && (client.hearing.owed > 0 || client.hearing.isInsideAnswer)
    }
  }

  /// Lets every deadline pass, several times over, and looks for what is left.
  private func outlive() throws(Violation) {
    // Those who wait at the door come in as others go.
    var unchanged = 0
    for _ in 0..<5000 where probe.living > 0 && unchanged < 12 {
      let before = progress
      clock.advance(milliseconds: 100_000)
      try calm()
      unchanged = progress == before ? unchanged + 1 : 0
    }
    if probe.living > 0 {
      throw Violation(
        "nothing outlives its deadlines", "\(probe.living) live on: \(probe.survivor)")
    }
    func gone(_ what: String, _ count: Int) throws(Violation) {
      if count != 0 { throw Violation("nothing is left at the end", "\(what): \(count)") }
    }
    try gone("holds", probe.holdsTaken)
    try gone("places", probe.placesTaken)
    try gone("deadlines", probe.deadlines)
    try gone("connections of clients", probe.connectionsCounted)
    for client in all { try retire(client) }
  }
}

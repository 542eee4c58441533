extension World {
  /// A worker that has nothing to do sleeps: being told of the same thing for ever is a spin.
  func checkSleep() throws(Violation) {
    let progress = self.progress
    let isAwake = busy.isEmpty && scarceTurns == 0 && probe.isAwake
    // What is on its way, or unread, will be read.
    let isIdle = idleTurns < 16 || !isSomethingUnderWay
    guard progress == lastProgress, isAwake, isIdle else {
      lastProgress = progress
      idleTurns = 0
      return
    }
    idleTurns += 1
    if idleTurns > 64 {
      throw Violation("nothing spins", "awake for \(idleTurns) turns, and \(probe.survivor)")
    }
  }
}

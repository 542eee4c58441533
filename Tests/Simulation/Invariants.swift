/// What of one client is on its way before a turn: after it, the turn's work shows.
struct Budget {
  let client: Client
  private let taken: Int
  private let requests: Int

  /// Nil where the server has no connection for it.
  init?(_ client: Client) {
    guard let side = client.connection, let taken = side.bytesTaken else { return nil }
    self.client = client
    self.taken = taken
    requests = side.requests
  }

  /// Compares with what a turn may do; a connection that was closed meanwhile is not measured.
  ///
  /// - Parameter turns: how many the connection may have had.
  func check(_ probe: WorkerProbe, turns: Int) throws(Violation) {
    guard let side = client.connection, let takenNow = side.bytesTaken else { return }
    let most = probe.turnBytesMax * turns
    if takenNow - taken > most {
      throw Violation(
        "a turn stays within its budget",
        "\(client.address): \(takenNow - taken) bytes in a turn, at most \(most)")
    }
    let requestsMax = probe.turnRequestsMax * turns
    if side.requests - requests > requestsMax {
      throw Violation(
        "a turn stays within its budget",
        "\(client.address): \(side.requests - requests) requests in a turn, at most "
          + "\(requestsMax)")
    }
  }
}

extension Client {
  /// Bytes that it sent and the server has not read; nil where one of the two sockets is closed.
  var backlog: Int? {
    guard isOpen, let descriptor = connection?.descriptor else { return nil }
    return Socket.unsent(self.descriptor) + Socket.unread(descriptor)
  }

  /// Nothing of it is on its way any more.
  var hasArrived: Bool {
    guard let backlog else { return connection != nil }
    if backlog == 0 { onItsWay = 0 }
    return backlog == 0
  }
}

extension World {
  /// Looking through 256 KiB is cheap where it is optimized.
  private var looksAtBuffers: Bool {
    #if DEBUG
      turns % 16 == 0
    #else
      true
    #endif
  }

  /// What must hold between any two turns, and is cheap to see.
  func checkCounts(hasHadNode: Bool) throws(Violation) {
    if looksAtBuffers, let fault = probe.bufferFault {
      throw Violation("a buffer with bytes in it belongs to one connection", fault)
    }
    if probe.isSomebodyQueuedTwice {
      throw Violation("a turn stays within its budget", "a connection is queued twice")
    }
    let living = probe.living
    func agree(_ what: String, _ count: Int, _ expected: Int) throws(Violation) {
      if count == expected { return }
      throw Violation(
        "counts agree with the connections", "\(what): \(count), and it should be \(expected)")
    }
    try agree("connections_active", probe.countedActive, living)
    try agree("accepted less closed", probe.countedAccepted - probe.countedClosed, living)
    try agree("closes logged", closed, probe.countedClosed)
    try agree("places taken", probe.placesTaken, living)
    try agree("holds taken", probe.holdsTaken, probe.held)
    try agree("requests_held", probe.countedHeld, probe.held)
    try agree("internal_errors", probe.countedFaults, 0)
    if probe.deadlines != living {
      throw Violation(
        "every connection has one deadline", "\(probe.deadlines) deadlines, \(living) connections")
    }
    if hasHadNode, nodes[generation] != nil, probe.held > probe.stillToBeAsked {
      throw Violation(
        "a publication reaches every held request",
        "\(probe.held) are held though node \(nodes[generation] ?? 0) is active")
    }
  }

  /// A client has sent what the server has not read, or may still get.
  var isSomethingUnderWay: Bool {
    probe.hasUnreadBytes || all.contains { $0.isOpen && Socket.untaken($0.descriptor) > 0 }
  }

  /// What must hold of each connection.
  func checkConnections() throws(Violation) {
    if let disagreement = probe.disagreement() {
      throw Violation("counts agree with the connections", disagreement)
    }
  }

  /// What must hold of a connection that was closed.
  ///
  /// - Parameter longestIdle: before this turn.
  func checkClose(
    _ client: Client, _ close: CloseRecorder.Close, _ longestIdle: LongestIdle?
  ) throws(Violation) {
    if close.reason == "reclaimed", client.options.target != .admin,
      let longestIdle, longestIdle.isUntouched
    {
      throw Violation(
        "who has been idle for longest makes room first",
        "\(client) made room before \(longestIdle.address)")
    }
    if client.isGarbled { return }
    if close.requests > client.hearing.expectations.count || close.requests < client.hearing.served
    {
      throw Violation(
        "counts agree with the connections",
        "\(client) and \(close.requests) requests were counted")
    }
    let isFault: Bool
    switch close.reason {
    case "tls_flood": isFault = client.idleMessages <= 12
    case "overflow", "tls_error": isFault = !client.isOdd
    case "shutdown":
      isFault = client.isHonest && client.hasBegun && client.hearing.hasHeardNoEnd
    default: isFault = false
    }
    if isFault { throw Violation("the honest are served", "\(client)") }
  }

  /// What must hold of a client once nothing moves any more and a node is active.
  func checkAnswered(_ client: Client) throws(Violation) {
    let hearing = client.hearing
    try checkFlood(client)
    guard client.isHonest, client.options.proxy.isValid || !client.options.target.isProxied else {
      return
    }
    // Reasons for which the server lets nobody go without an answer; and a connection that lives.
    let mustAnswer = ["eof", "keepalive", "answered"]
    if let reason = client.closeReason {
      guard client.end == .finished else { return }
      if hearing.isInsideAnswer, reason != "write_timeout", reason != "shutdown_timeout" {
        throw Violation(
          "every answer arrives whole", "\(client.address), closed for \(reason)")
      }
      guard mustAnswer.contains(reason) else { return }
    } else {
      guard client.end == nil, client.connection?.isLiving == true else { return }
      // What the server's kernel has, the server must read.
      guard !client.hasSomethingToSend, Socket.untaken(client.descriptor) == 0 else { return }
    }
    if hearing.owed > 0 || hearing.isInsideAnswer {
      throw Violation(
        "every request is answered",
        "\(client.address) (\(client.options)) asked \(hearing.sent), heard \(hearing.answered), "
          + "in \(client.connection?.phase ?? "-"), closed for \(client.closeReason ?? "-")")
    }
  }

  /// Who sends messages without data on and on is not listened to for ever.
  private func checkFlood(_ client: Client) throws(Violation) {
    guard client.idleMessages > 130, client.isOpen, !client.hasSomethingToSend,
      client.end == nil, client.hearing.expectsMore, client.backlog == 0
    else { return }
    throw Violation("a flood ends", "\(client) sent \(client.idleMessages) idle messages")
  }
}

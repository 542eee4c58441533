import Glibc

/// A client of one connection: what it says, cut as the script wants it, and what it hears.
final class Client {
  /// Within its world; part of every target that it asks for.
  let serial: Int
  let options: ConnectOptions
  /// Its socket; -1 once that is closed.
  private(set) var descriptor: Int32
  /// The socket's own address, as the server's log writes it.
  let address: String
  let session: ClientSession?
  var gate: Gate
  /// Bytes that may pass a closed gate.
  var plainAllowance = 0
  var wireAllowance = 0
  var readAllowance = 0

  /// What is to be said, and not encrypted yet.
  private var plain = Queue()
  /// What is to be sent.
  private(set) var wire = Queue()
  var hearing: Hearing

  /// The server's side of it, from when it was accepted.
  var connection: ServerSide?
  var closeReason: String?
  /// How the server's bytes ended; nil where they have not.
  private(set) var end: End?
  private(set) var hasFinishedWriting = false
  /// It had something else to say than whole requests: what it hears is only looked through for
  /// others' answers.
  private(set) var isGarbled = false
  /// It did what no client of ours does, but what it hears must be right.
  private(set) var isOdd = false
  /// Messages without data that it sent after its handshake.
  private(set) var idleMessages = 0
  private var wasReset = false
  /// Bytes that it sent since its backlog was seen empty.
  var onItsWay = 0

  enum End: Equatable {
    case finished, reset, refused
  }

  init?(serial: Int, options: ConnectOptions, port: UInt16, ticket: Ticket?, world: World) {
    let receiveBytes = options.hasTinyWindow ? Socket.tinyBytes : nil
    guard
      let descriptor = Socket.connect(
        port: port, source: options.source, receiveBytes: receiveBytes)
    else { return nil }
    self.serial = serial
    self.options = options
    self.descriptor = descriptor
    let localPort = Socket.localPort(descriptor)
    address = "127.0.0.\(2 + options.source):\(localPort)"
    gate = options.gate
    session =
      options.speaksTLS ? ClientSession(world.materials, options, ticket: ticket) : nil
    hearing = Hearing(serial: serial)
    hearing.isDeaf = options.gate.contains(.reading)
    wire.append(options.proxyHeader(port: localPort))
  }

  /// Its socket is open.
  var isOpen: Bool { descriptor >= 0 }
  /// Nothing more can happen on it.
  var isOver: Bool { !isOpen || end != nil }
  var hasSomethingToSend: Bool { !wire.isEmpty || (!plain.isEmpty && !hasFinishedWriting) }
  /// It has sent a part of its next request.
  var hasBegun: Bool {
    wire.isEmpty && hearing.sealed < hearing.expectations.count
      && hearing.expectations[hearing.sealed].start < plain.taken
  }
  /// It says what an honest client says, hears all, and has not gone away.
  var isHonest: Bool { !isGarbled && isOpen && !isOdd }

  // MARK: Saying

  /// Says `count` requests at once, of these kinds by turns.
  func ask(_ kinds: [RequestKind], count: Int, size: UInt8, settings: Settings) {
    guard !hasFinishedWriting else { return }
    let writer = RequestWriter(settings: settings, isAdmin: options.target == .admin)
    var bytes: [UInt8] = []
    // Bodies are long where the world says so: what is beyond this shows nothing new.
    for index in 0..<count where bytes.count < 1 << 21 {
      let number = hearing.expectations.count
      var (expectation, isLast) = writer.write(
        kinds[index % kinds.count], serial: "c\(serial)-r\(number)", size: size, into: &bytes)
      expectation.start += plain.total
      expectation.headEnd += plain.total
      if options.target.isEncrypted, options.isPlain {
        // Whatever the method is: it is not read.
        expectation.outcome = .refused(400)
        expectation.isHead = false
        isLast = true
      }
      hearing.expect(expectation, isLast: isLast)
    }
    plain.append(bytes)
  }

  /// Puts bytes on the wire as they are, below TLS; or a byte out of band, which the server reads in
  /// its place or not at all.
  func sendRaw(_ bytes: [UInt8], isUrgent: Bool = false) {
    isGarbled = true
    if isUrgent { return bytes.forEach { Socket.sendUrgent(descriptor, $0) } }
    wire.append(bytes)
  }

  func updateKeys(_ count: Int, asks: Bool) {
    guard let session, session.isOpen, !options.isTLS12, !hasFinishedWriting else { return }
    isOdd = true
    idleMessages += count
    session.updateKeys(count, asks: asks)
  }

  /// Says what OpenSSL would not say.
  func forge(_ kind: ForgedKind, _ count: Int) {
    guard let session, !hasFinishedWriting, let forge = session.beginForging() else { return }
    isOdd = true
    if kind.isIdle { idleMessages += count }
    flush(session)
    if kind == .tinyData {
      // What is to be said next, a byte a record.
      for byte in plain.front(min(count, gate.contains(.plain) ? plainAllowance : count)) {
        wire.append(forge.record(23, [byte]))
        pass(1)
        hearing.noteSealed(upTo: plain.taken) { _ in wire.total }
      }
    } else {
      wire.append(kind.records(count, by: forge))
    }
  }

  func renegotiate() {
    guard let session, session.isOpen, !hasFinishedWriting else { return }
    isGarbled = true
    session.renegotiate()
  }

  /// Moves what may pass: to TLS, to the wire, to the kernel.
  func pump(_ world: World) throws(Violation) {
    guard isOpen else { return }
    if let session, !session.isOpen, end == nil { try shake(session) }
    seal()
    let before = wire.taken
    var most = gate.contains(.wire) ? wireAllowance : .max
    sending: while !wire.isEmpty, most > 0 {
      switch Socket.send(descriptor, wire.front(most)) {
      case .bytes(let count):
        wire.drop(count)
        most -= count
        if gate.contains(.wire) { wireAllowance -= count }
      case .failed:
        // The kernel tells of a reset once, here or in a read.
        wasReset = true
        break sending
      case .later, .end: break sending
      }
    }
    if wire.taken > before {
      hearing.noteSent(
        upTo: wire.taken, generation: world.generation, tooLate: connection?.isEnding ?? false)
      world.noteTraffic(self, bytes: wire.taken - before)
    }
  }

  private func seal() {
    guard let session else { return copy() }
    // A record at a time: what is in the first is understood before the second is sent.
    while session.isOpen, !plain.isEmpty, !hasFinishedWriting {
      let most = gate.contains(.plain) ? plainAllowance : .max
      let piece = plain.front(min(most, 16_384))
      if piece.isEmpty { break }
      session.write(piece)
      pass(piece.count)
      flush(session)
      hearing.noteSealed(upTo: plain.taken) { _ in wire.total }
    }
    flush(session)
  }

  private func flush(_ session: ClientSession) {
    var output: [UInt8] = []
    session.takeOutput(into: &output)
    wire.append(output)
  }

  private func copy() {
    let piece = plain.front(gate.contains(.plain) ? plainAllowance : .max)
    if piece.isEmpty { return }
    let offset = wire.total - plain.taken
    wire.append(Array(piece))
    pass(piece.count)
    hearing.noteSealed(upTo: plain.taken) { $0 + offset }
  }

  private func pass(_ count: Int) {
    plain.drop(count)
    if gate.contains(.plain) { plainAllowance -= count }
  }

  // MARK: Hearing

  /// Reads what came, as far as it may.
  func receive(_ world: World) throws(Violation) {
    guard isOpen, end == nil else { return }
    while true {
      let most = gate.contains(.reading) ? readAllowance : world.scratch.count
      guard most > 0 else { return }
      switch Socket.receive(descriptor, into: &world.scratch, atMost: most) {
      case .bytes(let count):
        if gate.contains(.reading) { readAllowance -= count }
        world.bytesMoved += count
        try hear(world.scratch[..<count], world)
        if end != nil { return }
        // Less than there was room for is all there was.
        if count < most { return }
      case .later: return
      case .end:
        end = wasReset ? .reset : .finished
        return
      case .failed:
        end = .reset
        return
      }
    }
  }

  private func hear(_ bytes: ArraySlice<UInt8>, _ world: World) throws(Violation) {
    guard let session else {
      return try take(bytes, world)
    }
    session.receive(bytes)
    if !session.isOpen { try shake(session) }
    while session.isOpen {
      switch session.read(into: &world.plaintext) {
      case .bytes(let count):
        try take(world.plaintext[..<count], world)
        world.keepTicket(of: self)
      case .later, .closed:
        try pump(world)
        return
      case .refused:
        end = .refused
        return
      case .broken(let reason):
        try fail(reason)
        return
      }
    }
  }

  private func take(_ bytes: ArraySlice<UInt8>, _ world: World) throws(Violation) {
    if isGarbled { return try hearing.lookForOthers(bytes) }
    try hearing.take(bytes, world)
  }

  private func shake(_ session: ClientSession) throws(Violation) {
    switch session.handshake() {
    case .bytes, .later, .closed: break
    case .refused: end = .refused
    case .broken(let reason): try fail(reason)
    }
  }

  private func fail(_ reason: String) throws(Violation) {
    end = .refused
    if isGarbled { return }
    throw Violation(
      "a client receives TLS as it was meant for it", "client c\(serial) says: \(reason)")
  }

  // MARK: Ending

  func halfClose() {
    guard isOpen, !hasFinishedWriting else { return }
    hasFinishedWriting = true
    shutdown(descriptor, Int32(SHUT_WR))
  }

  func closeNotify() {
    guard let session, isOpen, !hasFinishedWriting else { return }
    hasFinishedWriting = true
    session.closeNotify()
  }

  func close() {
    guard isOpen else { return }
    Glibc.close(descriptor)
    descriptor = -1
  }

  func reset() {
    guard isOpen else { return }
    Socket.reset(descriptor)
    descriptor = -1
  }
}

import TLS
import Testing

@Suite struct ResumptionTests {
  private let fixtures: Fixtures
  private let server: LoopbackServer

  init() throws {
    fixtures = try Fixtures.shared.get()
    server = try LoopbackServer()
  }

  static let versions = ["TLSv1_2", "TLSv1_3"]

  /// Connects once for each context, each time with the session of the first connection, or of the
  /// one before.
  ///
  /// - Returns: which connections were resumed, as server and client agree.
  private func resumptions(
    version: String, connections: Int, keepsFirst: Bool = false,
    _ context: (Int) throws -> TLSContext
  ) throws -> [Bool] {
    let client = server.python(
      root: fixtures.root,
      """
      context.minimum_version = context.maximum_version = ssl.TLSVersion.\(version)
      session = None
      for number in range(\(connections)):
        s = context.wrap_socket(connect(), server_hostname="localhost", session=session)
        s.sendall(b"hi\\n")
        drain(s)
        print(s.session_reused)
        if session is None or not \(keepsFirst ? "True" : "False"):
          session = s.session
        s.unwrap()
      """)
    let (outcomes, status, output) = try server.serve(
      connections: connections, client: client, context: context)
    #expect(status == 0, "\(output)")
    let resumptions = outcomes.map(\.isResumed)
    #expect(output == resumptions.map { $0 ? "True\n" : "False\n" }.joined())
    return resumptions
  }

  @Test(arguments: versions)
  func `a ticket outlives its context, from one type of key to another`(version: String) throws {
    let ring = try TicketKeyRing()
    let resumed = try resumptions(version: version, connections: 4) { number in
      try fixtures.context([number % 2 == 0 ? fixtures.ecdsa : fixtures.rsa], tickets: ring)
    }
    #expect(resumed == [false, true, true, true])
  }

  @Test(arguments: versions)
  func `a ticket means nothing to another ring`(version: String) throws {
    let resumed = try resumptions(version: version, connections: 2) { _ in
      try fixtures.context(tickets: try TicketKeyRing())
    }
    #expect(resumed == [false, false])
  }

  @Test(arguments: versions)
  func `a ticket is good for two rotations`(version: String) throws {
    let ring = try TicketKeyRing()
    let context = try fixtures.context(tickets: ring)
    let resumed = try resumptions(version: version, connections: 4, keepsFirst: true) { number in
      if number > 0 { try ring.rotate() }
      return context
    }
    #expect(resumed == [false, true, true, false])
  }

  @Test(arguments: versions)
  func `a ticket of an old key is replaced`(version: String) throws {
    let ring = try TicketKeyRing()
    let context = try fixtures.context(tickets: ring)
    // The first key is gone at the last connection; the ticket that replaced its own is not.
    let resumed = try resumptions(version: version, connections: 3) { number in
      if number > 0 { try ring.rotate() }
      if number == 2 { try ring.rotate() }
      return context
    }
    #expect(resumed == [false, true, true])
  }

  /// Lines of a ticket key file, each of its own key: base64 of 48 or 80 bytes that are all the
  /// same.
  private func line(_ key: Character, bytes: Int) throws -> String {
    let text = String(repeating: key, count: bytes)
    let path = try Scratch.write(text, "raw")
    return try Subprocess.run("openssl", "base64", "-A", "-in", path) + "\n"
  }

  @Test(arguments: [("TLSv1_2", 48), ("TLSv1_3", 48), ("TLSv1_2", 80), ("TLSv1_3", 80)])
  func `two rings with one key file resume each other, one rotation long`(
    version: String, bytes: Int
  ) throws {
    let lines = try "ABCDE".map { try line($0, bytes: bytes) }
    let file = try Scratch.write(lines[0...2].joined(), "ticket.keys")
    let configuration = TLSConfiguration(credentials: [fixtures.ecdsa], ticketKeyPath: file)
    let resumed = try resumptions(version: version, connections: 4, keepsFirst: true) { number in
      // B encrypts; it still decrypts when C does, and is gone when D does.
      if number == 2 { try Scratch.write(lines[1...3].joined(), to: file) }
      if number == 3 { try Scratch.write(lines[2...4].joined(), to: file) }
      return try configuration.load(tickets: try TicketKeyRing())
    }
    #expect(resumed == [false, true, true, false])
  }

  @Test func `a key known to one half of a fleet only is not used yet`() throws {
    let lines = try "ABCD".map { try line($0, bytes: 80) }
    let old = try Scratch.write(lines[0...2].joined(), "old.keys")
    let new = try Scratch.write(lines[0...3].joined(), "new.keys")
    let resumed = try resumptions(version: "TLSv1_3", connections: 4) { number in
      let path = number % 2 == 0 ? old : new
      return try TLSConfiguration(credentials: [fixtures.ecdsa], ticketKeyPath: path)
        .load(tickets: try TicketKeyRing())
    }
    #expect(resumed == [false, true, true, true])
  }

  @Test func `rotating leaves keys of a file alone`() throws {
    let file = try Scratch.write(
      try "ABC".map { try line($0, bytes: 48) }.joined(), "fixed.keys")
    let ring = try TicketKeyRing()
    let context = try TLSConfiguration(credentials: [fixtures.ecdsa], ticketKeyPath: file)
      .load(tickets: ring)
    let resumed = try resumptions(version: "TLSv1_3", connections: 2, keepsFirst: true) { number in
      if number == 1 { for _ in 0..<3 { try ring.rotate() } }
      return context
    }
    #expect(resumed == [false, true])
  }

  /// A ticket key file, and what is said of it.
  @Test(arguments: [
    ("AAAA\n", "line 1: 3 bytes, and a key has 48 or 80"), ("\n*\n", "line 2: not base64"),
    ("A===\n", "line 1: not base64"),
    (String(repeating: "A", count: 64) + "\n\n", "holds 1 keys, and 3 are needed"),
  ])
  func `names what is wrong with a ticket key file`(text: String, reason: String) throws {
    let file = try Scratch.write(text, "bad.keys")
    let configuration = TLSConfiguration(credentials: [fixtures.ecdsa], ticketKeyPath: file)
    #expect(throws: TLSError.ticketKeys(path: file, reason: reason)) {
      _ = try configuration.load(tickets: try TicketKeyRing())
    }
  }
}

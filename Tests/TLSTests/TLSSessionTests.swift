import TLS
import Testing

@Suite struct TLSSessionTests {
  private let fixtures: Fixtures
  private let server: LoopbackServer

  init() throws {
    fixtures = try Fixtures.shared.get()
    server = try LoopbackServer()
  }

  private func serve(
    connections: Int = 1, response: [UInt8] = Array("hello\n".utf8),
    policy: TLSPolicy = .intermediate, _ body: String
  ) throws -> (outcomes: [LoopbackServer.Outcome], status: Int32, output: String) {
    let context = try fixtures.context(policy: policy)
    return try server.serve(
      connections: connections, response: response,
      client: server.python(root: fixtures.root, body)
    ) { _ in context }
  }

  @Test(arguments: [("TLSv1_2", TLSVersion.tls12), ("TLSv1_3", .tls13)])
  func `answers a request in each version`(name: String, version: TLSVersion) throws {
    let (outcomes, status, output) = try serve(
      """
      context.minimum_version = context.maximum_version = ssl.TLSVersion.\(name)
      context.set_alpn_protocols(["h2", "http/1.1"])
      s = wrap(connect())
      s.sendall(b"hi\\n")
      print(s.version(), s.selected_alpn_protocol(), drain(s))
      s.unwrap()
      """)
    #expect(status == 0, "\(output)")
    #expect(output == "TLSv\(version.label) http/1.1 b'hello\\n'\n")
    #expect(outcomes[0].handshake == .done(0))
    #expect(outcomes[0].received == Array("hi\n".utf8))
    #expect(outcomes[0].version == version)
    #expect(!outcomes[0].isResumed)
    #expect(outcomes[0].end == .closed)
  }

  @Test func `writes more than a record, reads in pieces`() throws {
    let response = [UInt8](repeating: UInt8(ascii: "x"), count: 100_000)
    let (outcomes, status, output) = try serve(
      response: response,
      """
      s = wrap(connect())
      s.sendall(b"y" * 49999 + b"\\n")
      print(len(drain(s)))
      """)
    #expect(status == 0, "\(output)")
    #expect(output == "100000\n")
    #expect(outcomes[0].hadPendingBytes)
    #expect(outcomes[0].received.count == 50_000)
  }

  @Test func `takes what comes one byte at a time`() throws {
    server.dribbles = true
    let (outcomes, status, output) = try serve(
      "s = wrap(connect()); s.sendall(b'hi\\n'); print(drain(s)); s.unwrap()")
    #expect(status == 0, "\(output)")
    #expect(output == "b'hello\\n'\n")
    #expect(outcomes[0].handshake == .done(0))
    #expect(outcomes[0].received == Array("hi\n".utf8))
    #expect(outcomes[0].end == .closed)
    // A ClientHello alone is longer, and each of its bytes was waited for.
    #expect(outcomes[0].waits > 150)
  }

  @Test func `answers a client that has closed its half`() throws {
    let (outcomes, status, output) = try serve(
      """
      s = wrap(connect())
      s.sendall(b"hi\\n")
      plain(s).shutdown(socket.SHUT_WR)
      print(drain(s))
      """)
    #expect(status == 0, "\(output)")
    #expect(output == "b'hello\\n'\n")
    #expect(outcomes[0].received == Array("hi\n".utf8))
    #expect(outcomes[0].end == .closed)
  }

  @Test func `takes an end of stream for the end at any point`() throws {
    let (outcomes, status, output) = try serve(
      connections: 4,
      """
      connect().close()
      raw = connect(); raw.send(b"\\x16\\x03\\x01"); raw.close()
      hello = ssl.MemoryBIO()
      tls = context.wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost")
      try: tls.do_handshake()
      except ssl.SSLWantReadError: pass
      raw = connect(); raw.send(hello.read()); raw.shutdown(socket.SHUT_WR); drain(raw)
      s = wrap(connect()); s.sendall(b"hi")
      plain(s).shutdown(socket.SHUT_WR); drain(s)
      """)
    #expect(status == 0, "\(output)")
    #expect(outcomes.map(\.handshake) == [.closed, .closed, .closed, .done(0)])
    #expect(outcomes[3].end == .closed)
    #expect(outcomes[3].received == Array("hi".utf8))
  }

  @Test func `takes a ClientHello with any byte changed`() throws {
    let count = 200
    let (outcomes, status, output) = try serve(
      connections: count + 1,
      """
      hello = ssl.MemoryBIO()
      try: context.wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost").do_handshake()
      except ssl.SSLWantReadError: pass
      hello = bytearray(hello.read())
      for index in range(\(count)):
        changed = bytearray(hello)
        changed[index] ^= 0xff
        raw = connect()
        try: raw.sendall(changed); raw.shutdown(socket.SHUT_WR); drain(raw)
        except OSError: pass
        raw.close()
      s = wrap(connect()); s.sendall(b"hi\\n"); print(drain(s)); s.unwrap()
      """)
    #expect(status == 0, "\(output)")
    // A change that does no harm (in the random bytes, say) gets an answer, and then the stream
    // ends.
    for (index, outcome) in outcomes.dropLast().enumerated() where outcome.handshake != .closed {
      #expect(outcome.failure?.message.isEmpty == false, "byte \(index): \(outcome.handshake)")
    }
    #expect(outcomes.contains { $0.failure != nil })
    #expect(outcomes.last?.end == .closed)
  }

  @Test func `charges a session nothing for another one's failure`() throws {
    let context = try fixtures.context()
    server.intruderContext = context
    let client = server.python(
      root: fixtures.root,
      """
      s = wrap(connect()); s.sendall(b"hi\\n"); drain(s)
      raw = connect(); raw.sendall(b"GET / HTTP/1.1\\r\\n\\r\\n"); drain(raw)
      s.unwrap()
      """)
    let (outcomes, status, output) = try server.serve(client: client) { _ in context }
    #expect(status == 0, "\(output)")
    #expect(server.intruder?.failure?.label == "http_request")
    #expect(outcomes[0].end == .closed)
  }

  @Test func `refuses to renegotiate, and serves the next one`() throws {
    let context = try fixtures.context()
    let client = ["openssl", "s_client", "-connect", "127.0.0.1:\(server.port)", "-tls1_2"]
    let (outcomes, _, output) = try server.serve(client: client, input: "R\n") { _ in context }
    #expect(output.contains("RENEGOTIATING"))
    #expect(output.contains("no renegotiation"))
    #expect(outcomes[0].handshake == .done(0))
    #expect(outcomes[0].received.isEmpty)
    let next = try serve("s = wrap(connect()); s.sendall(b'hi\\n'); print(drain(s)); s.unwrap()")
    #expect(next.output == "b'hello\\n'\n")
    #expect(next.outcomes[0].end == .closed)
  }

  @Test func `answers a key update, and goes on`() throws {
    // `K` updates the client's keys and asks for an update of ours, both sent with what is written
    // next.
    func serve(updates: Bool) throws -> LoopbackServer.Outcome {
      let (outcomes, _, output) = try self.serve(
        """
        import subprocess
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_3"]
        client = subprocess.Popen(
          command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        def say(text, answer):
          client.stdin.write(text + b"\\n")
          client.stdin.flush()
          while answer not in client.stdout.readline(): pass
        if \(updates ? "True" : "False"):
          say(b"K", b"KEYUPDATE")
        say(b"hi", b"hello")
        client.stdin.close()
        """)
      #expect(output == "")
      return outcomes[0]
    }
    let (with, without) = (try serve(updates: true), try serve(updates: false))
    #expect(with.received == Array("hi\n".utf8))
    #expect(with.end == .closed)
    // One record: a header of 5 bytes, a message of 5, a type, a tag of 16 (RFC 8446 §4.6.3).
    let (all, rest) = (with.sent - with.sentByHandshake, without.sent - without.sentByHandshake)
    #expect(all - rest == 27)
  }

  @Test func `ends at one message too many that carries no data`() throws {
    let client = server.python(
      root: fixtures.root,
      """
      import subprocess
      command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_3"]
      client = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
      try:
        for _ in range(\(TLSWire.idleMessagesMax)):
          client.stdin.write(b"K\\n")
          client.stdin.flush()
          while b"KEYUPDATE" not in (line := client.stdout.readline()) and line: pass
        client.stdin.write(b"hi\\n")
        client.stdin.flush()
      except OSError:
        pass
      client.stdin.close()
      client.wait()
      """)
    let context = try fixtures.context()
    let (outcomes, _, _) = try server.serve(client: client) { _ in context }
    #expect(outcomes[0].failure?.reason == .messageFlood)
    #expect(outcomes[0].received.isEmpty)
  }

  @Test(arguments: [1, 7, 100, 1000])
  func `reads no more in a turn than it may, and loses nothing`(bytes: Int) throws {
    server.turnBytes = bytes
    let (outcomes, status, output) = try serve(
      "s = wrap(connect()); s.sendall(b'x' * 3000 + b'\\n'); print(drain(s)); s.unwrap()")
    #expect(status == 0, "\(output)")
    #expect(output == "b'hello\\n'\n")
    #expect(outcomes[0].received.count == 3001)
    #expect(outcomes[0].yields >= 3000 / bytes)
  }

  @Test func `fails where what is to be sent has no room`() throws {
    server.outputBytesMax = 500
    let context = try fixtures.context()
    let client = server.python(
      root: fixtures.root,
      "try: wrap(connect())\nexcept OSError: pass")
    let (outcomes, _, _) = try server.serve(client: client) { _ in context }
    #expect(outcomes[0].failure?.reason == .sendQueueFull)
  }

  /// What a client does wrong, the reason it is counted under, and the words it is logged with.
  static let failures: [(String, String, String)] = [
    ("raw.send(b'GET / HTTP/1.1\\r\\n\\r\\n')", "http_request", "plain HTTP on the TLS port"),
    ("raw.send(b'LIST /v1/secret HTTP/1.1\\r\\n')", "http_request", "plain HTTP on the TLS port"),
    ("raw.send(b'DELETE /v1/secret HTTP/1.1\\r\\n')", "http_request", "plain HTTP on the TLS port"),
    ("raw.send(b'OPTIONS * HTTP/1.1\\r\\n')", "http_request", "plain HTTP on the TLS port"),
    (
      "raw.send(b'PROXY TCP4 1.2.3.4 5.6.7.8 9 10\\r\\n')", "proxy_header",
      "PROXY header where TLS was expected"
    ),
    (
      "raw.send(b'\\r\\n\\r\\n\\0\\r\\nQUIT\\n\\x21\\x11\\0\\x0c')", "proxy_header",
      "PROXY header where TLS was expected"
    ),
    ("raw.send(b'SSH-2.0-OpenSSH_9.2\\r\\n')", "not_tls", "what the client sent is not TLS"),
    ("raw.send(bytes(range(200, 256)))", "not_tls", "what the client sent is not TLS"),
    ("raw.send(b'\\x16\\x03\\x01\\x00\\x05\\x01\\x00\\x00\\x01\\xff')", "protocol_violation", ""),
    (
      """
      context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
      context.set_ciphers("ALL:@SECLEVEL=0"); wrap(raw)
      """, "protocol_version", "client offered only TLS 1.1"
    ),
    (
      """
      context.maximum_version = ssl.TLSVersion.TLSv1_2
      context.set_ciphers("AES128-SHA"); wrap(raw)
      """, "no_shared_cipher", "no shared cipher"
    ),
    (
      "context.set_alpn_protocols(['h2', 'spdy/3']); wrap(raw)", "no_application_protocol",
      "client speaks other protocols than http/1.1 only (ALPN)"
    ),
    (
      "context.set_ecdh_curve('secp521r1'); wrap(raw)", "no_shared_group",
      "no shared key exchange group"
    ),
    (
      "context = ssl.create_default_context(); wrap(raw)", "unknown_ca",
      "client does not trust our CA (unknown ca)"
    ),
    (
      "s = wrap(raw); socket.socket(fileno=s.detach()).send(b'\\x17\\x03\\x03\\0\\x20' + b'z' * 32)",
      "bad_record", ""
    ),
    (
      """
      context.maximum_version = ssl.TLSVersion.TLSv1_2; s = wrap(raw)
      s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); s.close()
      """, "connection_reset", "client reset the connection"
    ),
  ]

  @Test(arguments: failures)
  func `names what a client does wrong, and charges the next one nothing`(
    action: String, label: String, message: String
  ) throws {
    let indented = action.split(separator: "\n").map { "  \($0)" }.joined(separator: "\n")
    let (outcomes, status, output) = try serve(
      connections: 2,
      """
      raw = connect()
      try:
      \(indented)
        raw.shutdown(socket.SHUT_WR)
        drain(raw)
      except OSError:
        pass
      raw.close()
      context = ssl.create_default_context(cafile="\(fixtures.root)")
      s = wrap(connect()); s.sendall(b"hi\\n"); print(drain(s)); s.unwrap()
      """)
    #expect(status == 0, "\(output)")
    let failure = try #require(outcomes[0].failure, "\(outcomes[0])")
    #expect(failure.label == label, "\(failure)")
    if message.isEmpty {
      #expect(!failure.message.isEmpty)
    } else {
      #expect(failure.message == message)
    }
    #expect(outcomes[1].handshake == .done(0))
    #expect(outcomes[1].end == .closed)
    #expect(output.hasSuffix("b'hello\\n'\n"))
  }
}

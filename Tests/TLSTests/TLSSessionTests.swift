import TLS
import Testing

@Suite struct TLSSessionTests {
  /// Python's ssl module as the client: `context`, `port` and a connected `raw` socket are there for `body`.
  static func python(_ port: UInt16, root: String, _ body: String) -> [String] {
    let prelude = """
      import os, socket, ssl, struct
      port = \(port)
      context = ssl.create_default_context(cafile="\(root)")
      def connect():
        return socket.create_connection(("127.0.0.1", port), timeout=20)
      def wrap(raw):
        return context.wrap_socket(raw, server_hostname="localhost")
      def plain(tls):
        return socket.socket(fileno=os.dup(tls.fileno()))
      def drain(stream):
        data = b""
        while chunk := stream.recv(65536):
          data += chunk
        return data

      """
    return ["python3", "-c", prelude + body]
  }

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
    try server.serve(
      fixtures.context(policy: policy), connections: connections, response: response,
      client: Self.python(server.port, root: fixtures.root, body))
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
    #expect(outcomes[0].peerSentCloseNotify)
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
    #expect(outcomes[0].received.count == 50_000)
  }

  @Test func `takes a client that sends one byte at a time`() throws {
    let (outcomes, status, output) = try serve(
      """
      raw = connect()
      raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
      incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
      tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
      def step(call):
        while True:
          try:
            return call()
          except ssl.SSLWantReadError:
            dribble()
            data = raw.recv(65536)
            incoming.write(data) if data else incoming.write_eof()
          finally:
            dribble()
      def dribble():
        for byte in outgoing.read():
          raw.send(bytes([byte]))
      step(tls.do_handshake)
      step(lambda: tls.write(b"hi\\n"))
      print(step(lambda: tls.read(100)))
      """)
    #expect(status == 0, "\(output)")
    #expect(output == "b'hello\\n'\n")
    #expect(outcomes[0].handshake == .done(0))
    #expect(outcomes[0].received == Array("hi\n".utf8))
    #expect(outcomes[0].waits > 3)
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
    #expect(!outcomes[0].peerSentCloseNotify)
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
    #expect(outcomes.allSatisfy { !$0.peerSentCloseNotify })
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

import ProxyProtocol
import Sys
import TLS

/// A socket, with or without TLS on it, and what is still to be sent. Only the transport knows whether it is encrypted.
///
/// Whatever is written (an answer, an alert, tickets, close_notify) gathers in `unsent`, which belongs to this connection, and
/// leaves in one `send`. An answer over TLS is rendered in memory lent for the length of one call, and sealed before that
/// ends: there is no clear text that could wait anywhere.
///
/// A class: each look at a structure within a class would be a call into the runtime.
final class Transport {
  private let socket: StreamSocket
  private let unsent: ByteBuffer
  private let pool: BufferPool
  private var wire: TLSWire?
  private var session: TLSSession?
  /// Nothing is read or written any more: what is unsent leaves, and no session says how.
  private var hasEnded = false
  /// The descriptor may have bytes that were not read yet.
  private(set) var isReadable = true
  private var bytesLeft: Int32 = 0
  private var readsLeft: Int32 = 0
  private var proxyHeader = ProxyHeaderReader()

  /// - Parameter unsentBytesMax: the most that waits to be sent.
  init(socket: consuming StreamSocket, pool: BufferPool, unsentBytesMax: Int) {
    self.socket = socket
    self.pool = pool
    unsent = ByteBuffer(pool: pool, bytesMax: unsentBytesMax)
  }

  /// What to register with a poller.
  var number: Int32 { socket.number }

  @inline(__always)
  var unsentBytes: Int { unsent.count }

  /// The poller has said so; or it may be, and one look more costs little.
  @inline(__always)
  func becomeReadable() {
    isReadable = true
  }

  /// Looks whether there is something to read: for whoever is about to end a connection because there is not.
  func lookAgain() -> Bool {
    if !isReadable { isReadable = socket.isReadable }
    return isReadable
  }

  /// Something has come on this connection that it has not taken yet: a part of a PROXY header, or of a handshake.
  var hasReceived: Bool { proxyHeader.hasBegun || wire?.hasReceived ?? false }

  /// All that was sent has left for the peer.
  var isOnItsWay: Bool { socket.isOnItsWay }

  /// Begins a turn: so much may be read until the next one.
  @inline(__always)
  func beginTurn(_ limits: FrontendLimits) {
    bytesLeft = Int32(truncatingIfNeeded: limits.turnBytesMax)
    readsLeft = Int32(truncatingIfNeeded: limits.turnReadsMax)
    wire?.beginTurn(bytes: limits.turnBytesMax)
  }

  /// Ends a turn: what is left over moves to memory of its own.
  @inline(__always)
  func settle() {
    unsent.settle(spare: 0)
  }

  // MARK: Reading

  /// The least room that a read is given.
  static let readBytesMin = 2048

  /// Reads once, decrypted, into `receive`.
  @inline(__always)
  func read(into receive: ByteBuffer) -> ReadResult {
    guard isReadable else { return .wouldBlock }
    guard readsLeft > 0, bytesLeft > 0 else { return .budgetSpent }
    readsLeft -= 1
    if hasEnded {
      pool.faults.report("nothing is read after the end")
      return .failed(.internalError, nil)
    }
    let result = receive.withFreeSpace(atLeast: Self.readBytesMin) { output in
      session == nil ? receivePlain(into: &output) : receiveSealed(into: &output)
    }
    if let result { return result }
    // Whoever reads on has used up what a head may measure, and refuses it.
    pool.faults.report("a receive buffer is full")
    return .failed(.internalError, nil)
  }

  @inline(__always)
  private func receivePlain(into output: inout OutputSpan<UInt8>) -> ReadResult {
    let result = socket.receive(into: &output)
    isReadable = output.isFull
    switch result {
    case .bytes(let count):
      bytesLeft -= Int32(truncatingIfNeeded: count)
      return .bytes
    case .wouldBlock: return .wouldBlock
    case .endOfStream: return .endOfStream
    case .failed: return .failed(.reset, nil)
    }
  }

  @inline(__always)
  private func receiveSealed(into output: inout OutputSpan<UInt8>) -> ReadResult {
    isReadable = false
    switch session?.read(into: &output) {
    case .done:
      isReadable = output.isFull || session?.hasPendingBytes ?? false
      return .bytes
    case .wantsRead, nil: return .wouldBlock
    case .budgetSpent:
      isReadable = true
      return .budgetSpent
    case .closed: return .endOfStream
    case .failed(let failure): return .failed(CloseReason(failure), failure)
    }
  }

  /// Drops what has come, without a look at it.
  func discard() -> ReadResult {
    guard isReadable else { return .wouldBlock }
    guard readsLeft > 0, bytesLeft > 0 else { return .budgetSpent }
    readsLeft -= 1
    switch socket.discard(BufferPool.blockBytes) {
    case .bytes(let count):
      bytesLeft -= Int32(truncatingIfNeeded: count)
      return .bytes
    case .wouldBlock:
      isReadable = false
      return .wouldBlock
    case .endOfStream: return .endOfStream
    case .failed: return .failed(.reset, nil)
    }
  }

  /// Reads a PROXY header, and not a byte behind it.
  ///
  /// - Returns: what the parser says; nil where `result` says why there is nothing to parse.
  func readProxyHeader(
    _ parser: ProxyHeaderParser
  ) -> (result: ReadResult, header: ProxyParseResult?) {
    guard isReadable else { return (.wouldBlock, nil) }
    let (result, parsed) = proxyHeader.read(socket, pool, parser)
    switch (result, parsed) {
    case (.wouldBlock, _), (_, .incomplete): isReadable = false
    default: break
    }
    return (result, parsed)
  }

  // MARK: Sending

  /// Lets `body` write, encrypted before it is kept; `send` sends it.
  ///
  /// - Parameter bytes: what `body` writes at the most.
  /// - Returns: nil where the connection has to be closed, and nothing is left to be sent: more would be unsent than the
  ///   peer may have us keep.
  @inline(__always)
  func write<Result>(
    atLeast bytes: Int, _ body: (inout OutputSpan<UInt8>) -> Result
  ) -> Result? {
    if hasEnded {
      pool.faults.report("nothing is written after the end")
      return nil
    }
    guard session != nil else {
      let result = unsent.withFreeSpace(atLeast: bytes + 1) { output in
        let result = body(&output)
        return fits(output) ? result : nil
      }
      if let result = result ?? nil { return result }
      unsent.removeAll()
      return nil
    }
    return pool.withScratch(atLeast: bytes + 1) { output in
      let result = body(&output)
      return fits(output) && seal(output.span) ? result : nil
    }
  }

  /// One who outgrows the room is cut short and has filled it to the last byte, which nobody else does.
  @inline(__always)
  private func fits(_ output: borrowing OutputSpan<UInt8>) -> Bool {
    if !output.isFull { return true }
    pool.faults.report("an answer outgrew its room")
    return false
  }

  private func seal(_ bytes: Span<UInt8>) -> Bool {
    switch session?.write(bytes) {
    case .done: true
    default: false
    }
  }

  /// Sends what is gathered.
  @inline(__always)
  func send() -> SendResult {
    while !unsent.isEmpty {
      switch unsent.withBytes({ socket.send($0) }) {
      case .bytes(let count): unsent.consume(count)
      case .wouldBlock: return .blocked
      case .endOfStream, .failed: return .broken
      }
    }
    return .sent
  }

  /// Drops what is not sent yet.
  func discardUnsent() {
    unsent.removeAll()
  }

  /// Gathers close_notify behind all that is to be sent; nothing may be written after it.
  func sayGoodbye() {
    session?.closeNotify()
  }

  /// Says goodbye, and gives back what the session holds: a refused client's certificates, the lists of its hello. What the
  /// client still sends is only to be discarded.
  func end() {
    sayGoodbye()
    hasEnded = true
    dropSession()
  }

  /// The socket is read without it, within what it has left of the turn's bytes.
  private func dropSession() {
    if let wire { bytesLeft = min(bytesLeft, Int32(truncatingIfNeeded: wire.bytesLeft)) }
    session = nil
    wire = nil
  }

  /// Lets the kernel keep what is sent until `uncork`, for a fifth of a second at most: many clients give up a connection
  /// that answers before they have sent all.
  func cork() { socket.cork() }

  func uncork() { socket.uncork() }

  /// Tells the peer that nothing more comes (FIN).
  func shutdownWriting() { socket.shutdownWriting() }
}

// MARK: - TLS

extension Transport {
  /// Puts TLS on the socket.
  ///
  /// - Throws: where OpenSSL has no memory left.
  func beginSession(_ context: TLSContext) throws(TLSError) {
    let wire = TLSWire(descriptor: socket.number, output: unsent)
    wire.beginTurn(bytes: Int(bytesLeft))
    session = try TLSSession(context: context, wire: wire)
    self.wire = wire
  }

  var hasSession: Bool { wire != nil }

  /// Takes the handshake as far as it goes.
  func handshake() -> TLSProgress {
    guard isReadable else { return .wantsRead }
    isReadable = false
    let progress = session?.handshake() ?? .wantsRead
    switch progress {
    case .done: isReadable = session?.hasPendingBytes ?? false
    case .budgetSpent: isReadable = true
    case .wantsRead, .closed, .failed: break
    }
    return progress
  }

  /// The client speaks no TLS: what follows goes in clear text, and what was gathered goes nowhere.
  func fallBackToPlain() {
    dropSession()
    unsent.removeAll()
  }

  /// Gives the session's record buffers back, some 21 KiB, until its next read or write.
  func coolDown() {
    session?.releaseBuffers()
  }

  /// Nil in clear text.
  var tlsVersion: TLSVersion? { session?.protocolVersion }

  var isResumed: Bool { session?.isResumed ?? false }

  /// The client's certificate is accepted still.
  @inline(__always)
  func isClientTrusted() -> Bool { session?.isClientTrusted() ?? true }

  /// The subject of the client's certificate; nil where it showed none.
  var clientSubject: String? { session?.clientSubject }
}

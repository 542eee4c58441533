package import HTTP1
package import Sys

/// Every limit and every deadline of the connection side, with its default: here and nowhere else.
package struct FrontendLimits: Sendable {
  /// What a request may measure.
  package var message = MessageLimits()

  /// The most body bytes read and dropped to keep a connection usable; a longer body costs its connection.
  package var discardBytesMax: UInt64 = 1 << 20

  /// From `accept` to the end of the PROXY header; the specification asks for 3 s at least.
  package var proxyHeaderTimeout: Timeout = .seconds(3)
  /// From the first step of the TLS handshake to its last.
  package var handshakeTimeout: Timeout = .seconds(10)
  /// From when a head is due to its last byte, in all: one byte a second does not extend it.
  package var headTimeout: Timeout = .seconds(10)
  /// From the answer to the last byte of a body that is dropped.
  package var discardTimeout: Timeout = .seconds(5)
  /// From an answer to the first byte of the next request: above the 60 s of an ELB, below the 350 s of an NLB.
  package var keepAliveTimeout: Timeout = .seconds(75)
  /// From the first refused byte of an answer until the client has taken it whole.
  package var writeTimeout: Timeout = .seconds(10)
  /// How long a closed connection is read from, so that its last answer is not lost to a reset.
  package var lingerTimeout: Timeout = .seconds(10)
  /// How long a drain waits for what is in flight.
  package var drainTimeout: Timeout = .seconds(20)
  /// How long a drain waits for the first byte of a connection that has not asked anything yet.
  package var drainSilenceTimeout: Timeout = .seconds(1)
  /// How long a request waits for an active node before it is answered with 503; zero: not at all.
  package var holdTimeout: Timeout = .zero
  /// The most requests that wait for an active node at once, over all workers.
  package var heldMax = 1024

  /// Requests on one connection before it is closed; 0: as many as the client likes.
  package var requestsPerConnectionMax = 0
  /// Connections at once, over all workers; further ones wait in the kernel's backlog.
  package var connectionsMax = 1024
  /// Connections beside those, for listeners that may use them: operators and health checks come through at the limit.
  package var reservedConnections = 16
  /// Connections at once from one client: an IPv4 address, or the /64 of an IPv6 address; 0: no such limit.
  package var connectionsPerAddressMax = 0
  /// The kernel's queue of connections that are not accepted yet; it caps this at net.core.somaxconn.
  package var backlog = Int32.max

  /// Connections accepted in one turn of a worker's loop, before those it has get their turn.
  package var acceptBudget = 32
  /// What one connection may have of a worker in one turn, before the others get theirs: bytes read from its socket,
  package var turnBytesMax = 128 << 10
  /// reads of a TLS record each, or of what is there in clear text,
  package var turnReadsMax = 16
  /// and requests answered.
  package var turnRequestsMax = 64
  /// or what they come to in answers, one for each so many bytes: a long one is more work than a redirect,
  package var turnAnswerBytes = 512
  /// Held requests asked for again in one turn of a worker's loop.
  package var heldAnswersMax = 128
  /// Answers gathered, in bytes, before they are sent.
  package var gatherBytesMax = 64 << 10
  /// What may be unsent of a connection, in bytes: gathered answers, the largest one behind them, and what TLS adds.
  package var unsentBytesMax = 512 << 10

  /// What the kernel may keep of a connection beside that: an answer is small, and a body need not come faster. Left alone it
  /// would keep megabytes for a client that takes no answers.
  package var socketBuffers = SocketBuffers(sendBytes: 64 << 10, receiveBytes: 128 << 10)

  package init() {}
}

extension FrontendLimits {
  /// A TLS session with its buffers of two records, the connection, and what the kernel has of each socket.
  private static let sessionBytes = 48 << 10
  /// The largest hello that a client may send (48 KiB), which OpenSSL holds twice while it grows.
  private static let handshakeBytes = 96 << 10
  /// What one read may bring beyond the head that is being read.
  private static let readBytes = 16 << 10

  /// The most memory that one connection of a client can take, in bytes, of this process and of the kernel: a head almost whole,
  /// answers that nobody takes, and full buffers of the socket. Client certificates come on top, where they are asked for.
  package var connectionBytesMax: Int {
    let request = message.headBytesMax + Self.readBytes
    let answers = gatherBytesMax + message.requestLineBytesMax
    return Self.sessionBytes + max(Self.handshakeBytes, request + answers)
      + socketBuffers.sendBytes + socketBuffers.receiveBytes
  }
}

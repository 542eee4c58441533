import CLinux
import Glibc

/// A bound, listening TCP socket, non-blocking. Workers may share it: accept4(2) is safe from any thread.
package final class ListeningSocket: Sendable {
  private let descriptor: FileDescriptor
  /// Where it listens, with the port that the kernel chose where 0 was asked for.
  package let address: SocketAddress

  /// Binds and listens.
  ///
  /// - Parameters:
  ///   - address: port 0 lets the kernel choose. `::` takes IPv4 as well where `dualStack` is set.
  ///   - backlog: the longest queue of connections not yet accepted; the kernel caps it at net.core.somaxconn.
  ///   - buffers: what the kernel may keep of each accepted connection; nil: as much as net.ipv4.tcp_wmem and tcp_rmem let it.
  /// - Throws: what bind(2) or listen(2) say: EADDRINUSE, EACCES, EADDRNOTAVAIL, …
  package init(
    binding address: SocketAddress, dualStack: Bool, backlog: Int32, buffers: SocketBuffers? = nil
  ) throws(SystemError) {
    let domain = address.family == .ipv4 ? AF_INET : AF_INET6
    let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let descriptor = FileDescriptor(
      owning: try systemCall("socket") { socket(domain, type, 0) })
    try setOption(descriptor.number, SOL_SOCKET, SO_REUSEADDR, 1)
    if address.family == .ipv6 {
      try setOption(descriptor.number, Int32(IPPROTO_IPV6), IPV6_V6ONLY, dualStack ? 0 : 1)
    }
    // Accepted sockets inherit these: answers leave at once, and the kernel finds dead peers.
    try setOption(descriptor.number, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    try setOption(descriptor.number, SOL_SOCKET, SO_KEEPALIVE, 1)
    // A byte sent as urgent is a byte of the stream like any other.
    try setOption(descriptor.number, SOL_SOCKET, SO_OOBINLINE, 1)
    try setOption(descriptor.number, Int32(IPPROTO_TCP), TCP_KEEPIDLE, 60)
    if let buffers {
      try setOption(
        descriptor.number, SOL_SOCKET, SO_SNDBUF, Int32(clamping: buffers.sendBytes / 2))
      try setOption(
        descriptor.number, SOL_SOCKET, SO_RCVBUF, Int32(clamping: buffers.receiveBytes / 2))
    }
    // The pointer is used for the call alone.
    _ = unsafe try address.withSockaddr { (pointer, length) throws(SystemError) in
      try systemCall("bind") { unsafe bind(descriptor.number, pointer, length) }
    }
    _ = try systemCall("listen") { listen(descriptor.number, backlog) }
    self.address = try Self.boundAddress(descriptor.number)
    self.descriptor = descriptor
  }

  /// What to register for reading.
  package var number: Int32 { descriptor.number }

  /// How many connections wait to be accepted now; 0 where the kernel does not say.
  package var connectionsWaiting: Int {
    var info = tcp_info()
    var length = socklen_t(MemoryLayout<tcp_info>.size)
    // The kernel writes at most `length` bytes into `info`.
    let result = unsafe getsockopt(
      descriptor.number, Int32(IPPROTO_TCP), TCP_INFO, &info, &length)
    // Of a listening socket this field is the length of its queue (tcp_get_info in the kernel).
    return result == 0 ? Int(info.tcpi_unacked) : 0
  }

  /// Stops listening: the kernel refuses connections from now on, and resets those that nobody accepted. From any thread.
  package func stop() {
    // On a listening socket this cannot fail; closing it is the owner's, who may still have it in a poller.
    _ = shutdown(descriptor.number, Int32(SHUT_RDWR))
  }

  /// What `accept` brought.
  package enum Accepted: ~Copyable {
    case connection(StreamSocket, SocketAddress)
    /// Nothing waits any more.
    case none
    /// The connection was gone before it could be taken: ask again.
    case aborted
    /// Out of descriptors, buffers or memory (EMFILE, ENFILE, ENOBUFS, ENOMEM): wait before asking again.
    case scarce(SystemError)
  }

  /// Takes the next connection, non-blocking, from any thread.
  package func accept() -> Accepted {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    // The kernel writes at most `length` bytes of an address into the storage, which is as large as any.
    let number = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        unsafe clinux_accept4(descriptor.number, address, &length)
      }
    }
    if number < 0 {
      let code = errno
      switch code {
      case EAGAIN: return .none
      case EMFILE, ENFILE, ENOBUFS, ENOMEM: return .scarce(SystemError("accept4", code: code))
      default: return .aborted
      }
    }
    let socket = StreamSocket(descriptor: FileDescriptor(owning: number))
    guard let peer = SocketAddress(storage) else { return .aborted }
    return .connection(socket, peer)
  }

  private static func boundAddress(_ number: Int32) throws(SystemError) -> SocketAddress {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    // As in `accept`.
    let result = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        unsafe getsockname(number, address, &length)
      }
    }
    if result != 0 { throw SystemError("getsockname", code: errno) }
    guard let address = SocketAddress(storage) else {
      throw SystemError("getsockname", code: EAFNOSUPPORT)
    }
    return address
  }
}

/// What the kernel may keep of one connection, in bytes as it counts them, its own overhead included (socket(7)): it doubles
/// what SO_SNDBUF and SO_RCVBUF are set to, and does not tune what was set.
package struct SocketBuffers: Sendable, Equatable {
  /// Sent, and not acknowledged or not taken by the peer.
  package var sendBytes: Int
  /// Come, and not read.
  package var receiveBytes: Int

  package init(sendBytes: Int, receiveBytes: Int) {
    self.sendBytes = sendBytes
    self.receiveBytes = receiveBytes
  }
}

/// Sets an integer option of a socket.
func setOption(
  _ number: Int32, _ level: Int32, _ name: Int32, _ value: Int32
) throws(SystemError) {
  var value = value
  _ = try systemCall("setsockopt") {
    unsafe setsockopt(number, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
  }
}

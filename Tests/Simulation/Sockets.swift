import Glibc

/// What a read or a write on a client's socket brought.
enum Moved {
  case bytes(Int)
  case later
  case end
  case failed(Int32)
}

/// A client's socket calls, each one call of the system.
enum Socket {
  static let tinyBytes: Int32 = 2304
  // What Glibc's module lacks: IP_BIND_ADDRESS_NO_PORT, SIOCOUTQNSD and SIOCOUTQ.
  private static let bindAddressNoPort: Int32 = 24
  private static let notSentQueue: UInt = 0x894B
  private static let notTakenQueue: UInt = 0x5411

  /// Begins to connect from 127.0.0.(2 + `source`); nil where descriptors are scarce.
  static func connect(port: UInt16, source: UInt8, receiveBytes: Int32?) -> Int32? {
    let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let number = socket(AF_INET, type, 0)
    guard number >= 0 else { return nil }
    if let receiveBytes { set(number, SOL_SOCKET, SO_RCVBUF, receiveBytes) }
    set(number, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    // The port is chosen together with the peer, so that they do not run out (ip(7)).
    set(number, Int32(IPPROTO_IP), bindAddressNoPort, 1)
    // The pointers are used for the calls alone.
    guard
      unsafe withAddress(0x7F00_0002 + UInt32(source), 0, { unsafe bind(number, $0, $1) }) == 0
    else {
      close(number)
      return nil
    }
    let result = unsafe withAddress(0x7F00_0001, port) { unsafe Glibc.connect(number, $0, $1) }
    guard result == 0 || errno == EINPROGRESS else {
      close(number)
      return nil
    }
    return number
  }

  private static func withAddress(
    _ host: UInt32, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
  ) -> Int32 {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = host.bigEndian
    // A sockaddr_in is the form of an AF_INET address, for the length of the call.
    return unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }

  static func set(_ number: Int32, _ level: Int32, _ name: Int32, _ value: Int32) {
    var value = value
    // The value is read during the call alone; a kernel that refuses leaves its own choice.
    _ = unsafe setsockopt(number, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
  }

  /// The port that the kernel chose.
  static func localPort(_ number: Int32) -> UInt16 {
    var address = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    // As in `withAddress`; the socket is an AF_INET one.
    _ = unsafe withUnsafeMutablePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe getsockname(number, $0, &length)
      }
    }
    return UInt16(bigEndian: address.sin_port)
  }

  static func send(_ number: Int32, _ bytes: ArraySlice<UInt8>) -> Moved {
    // The slice is readable for the length of the call.
    let sent = unsafe bytes.withUnsafeBufferPointer { buffer in
      unsafe Glibc.send(number, buffer.baseAddress, buffer.count, Int32(MSG_NOSIGNAL))
    }
    if sent >= 0 { return .bytes(sent) }
    let code = errno
    return code == EAGAIN ? .later : .failed(code)
  }

  static func sendUrgent(_ number: Int32, _ byte: UInt8) {
    var byte = byte
    // One byte, read during the call.
    _ = unsafe Glibc.send(number, &byte, 1, Int32(MSG_OOB | MSG_NOSIGNAL))
  }

  static func receive(_ number: Int32, into bytes: inout [UInt8], atMost count: Int) -> Moved {
    // At most as many bytes as the array has are written.
    let most = min(count, bytes.count)
    let received = unsafe bytes.withUnsafeMutableBytes {
      unsafe recv(number, $0.baseAddress, most, 0)
    }
    if received > 0 { return .bytes(received) }
    if received == 0 { return .end }
    let code = errno
    return code == EAGAIN ? .later : .failed(code)
  }

  /// Resets: the peer gets RST, whatever was sent before.
  static func reset(_ number: Int32) {
    var value = linger(l_onoff: 1, l_linger: 0)
    // As in `set`.
    _ = unsafe setsockopt(
      number, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
    close(number)
  }

  /// The bytes that came and were not read.
  static func unread(_ number: Int32) -> Int { ask(number, UInt(FIONREAD)) }

  /// The bytes that are still to be sent to the peer's kernel.
  static func unsent(_ number: Int32) -> Int { ask(number, notSentQueue) }

  /// The bytes that the peer's kernel has not acknowledged.
  static func untaken(_ number: Int32) -> Int { ask(number, notTakenQueue) }

  /// The bytes that came in order, read or not (tcpi_bytes_received of TCP_INFO).
  static func received(_ number: Int32) -> Int {
    var information = [UInt64](repeating: 0, count: 32)
    var length = socklen_t(256)
    // At most as many bytes as the array has are written; the count is its 17th word.
    _ = unsafe getsockopt(number, Int32(IPPROTO_TCP), TCP_INFO, &information, &length)
    return Int(clamping: information[16])
  }

  private static func ask(_ number: Int32, _ request: UInt) -> Int {
    var value: Int32 = 0
    // Both requests write one int.
    let result = unsafe ioctl(number, request, &value)
    return result == 0 ? Int(value) : 0
  }
}

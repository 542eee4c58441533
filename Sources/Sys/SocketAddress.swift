package import Glibc

/// An IPv4 or IPv6 address with a port. An IPv4 address mapped into IPv6 is kept as the IPv4 address that it is.
package struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
  /// The address family.
  package enum Family: UInt8, Sendable {
    case ipv4, ipv6
  }

  package let family: Family
  /// The address's bytes in network order: the first 4 for IPv4, all 16 for IPv6.
  package let high: UInt64
  package let low: UInt64
  package var port: UInt16
  /// The interface of a link-local IPv6 address, else 0.
  package let scope: UInt32

  /// An address of 4 bytes, the first in the highest place.
  package init(ipv4 address: UInt32, port: UInt16) {
    self.init(family: .ipv4, high: UInt64(address) << 32, low: 0, port: port, scope: 0)
  }

  /// An address of 16 bytes in two halves; one in `::ffff:0:0/96` becomes IPv4 (RFC 4291 §2.5.5.2).
  package init(ipv6High high: UInt64, low: UInt64, port: UInt16, scope: UInt32 = 0) {
    if high == 0, low >> 32 == 0xFFFF {
      self.init(ipv4: UInt32(truncatingIfNeeded: low), port: port)
      return
    }
    self.init(family: .ipv6, high: high, low: low, port: port, scope: scope)
  }

  private init(family: Family, high: UInt64, low: UInt64, port: UInt16, scope: UInt32) {
    self.family = family
    self.high = high
    self.low = low
    self.port = port
    self.scope = scope
  }

  /// Reads `192.0.2.1`, `2001:db8::1` or `[2001:db8::1]`, numeric only; nil for anything else.
  package init?(numeric text: some StringProtocol, port: UInt16) {
    var bare = String(text)
    if bare.hasPrefix("["), bare.hasSuffix("]") { bare = String(bare.dropFirst().dropLast()) }
    var four = in_addr()
    var six = in6_addr()
    if unsafe inet_pton(AF_INET, bare, &four) == 1 {
      self.init(ipv4: UInt32(bigEndian: four.s_addr), port: port)
    } else if unsafe inet_pton(AF_INET6, bare, &six) == 1 {
      let (high, low) = Self.halves(of: six)
      self.init(ipv6High: high, low: low, port: port)
    } else {
      return nil
    }
  }

  /// What the kernel filled in; nil for another family than IPv4 and IPv6.
  package init?(_ storage: sockaddr_storage) {
    switch Int32(storage.ss_family) {
    case AF_INET:
      // ss_family says that a sockaddr_in stands here; a sockaddr_storage is large enough and aligned for each.
      let address = unsafe withUnsafeBytes(of: storage) { unsafe $0.load(as: sockaddr_in.self) }
      self.init(
        ipv4: UInt32(bigEndian: address.sin_addr.s_addr), port: UInt16(bigEndian: address.sin_port))
    case AF_INET6:
      let address = unsafe withUnsafeBytes(of: storage) { unsafe $0.load(as: sockaddr_in6.self) }
      let (high, low) = Self.halves(of: address.sin6_addr)
      self.init(
        ipv6High: high, low: low, port: UInt16(bigEndian: address.sin6_port),
        scope: address.sin6_scope_id)
    default:
      return nil
    }
  }

  /// `192.0.2.1` or `2001:db8::1`, as RFC 5952 writes it.
  package var host: String {
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    // The buffer holds the longest text of either family with its NUL, so neither call can fail.
    switch family {
    case .ipv4:
      var address = in_addr(s_addr: UInt32(truncatingIfNeeded: high >> 32).bigEndian)
      _ = unsafe inet_ntop(AF_INET, &address, &text, socklen_t(text.count))
    case .ipv6:
      var address = in6Address
      _ = unsafe inet_ntop(AF_INET6, &address, &text, socklen_t(text.count))
    }
    return String(untilNUL: text)
  }

  /// `192.0.2.1:443` or `[2001:db8::1]:443`
  package var description: String {
    family == .ipv4 ? "\(host):\(port)" : "[\(host)]:\(port)"
  }

  package var isLoopback: Bool {
    family == .ipv4 ? high >> 56 == 127 : high == 0 && low == 1
  }

  /// `0.0.0.0` or `::`
  package var isUnspecified: Bool { high == 0 && low == 0 }

  /// Shows it as the kernel wants it.
  func withSockaddr<Result>(
    _ body: (UnsafePointer<sockaddr>, socklen_t) throws(SystemError) -> Result
  ) throws(SystemError) -> Result {
    var storage = sockaddr_storage()
    let length: Int
    switch family {
    case .ipv4:
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = port.bigEndian
      address.sin_addr.s_addr = UInt32(truncatingIfNeeded: high >> 32).bigEndian
      length = MemoryLayout<sockaddr_in>.size
      unsafe withUnsafeMutableBytes(of: &storage) {
        unsafe $0.storeBytes(of: address, as: sockaddr_in.self)
      }
    case .ipv6:
      var address = sockaddr_in6()
      address.sin6_family = sa_family_t(AF_INET6)
      address.sin6_port = port.bigEndian
      address.sin6_addr = in6Address
      address.sin6_scope_id = scope
      length = MemoryLayout<sockaddr_in6>.size
      unsafe withUnsafeMutableBytes(of: &storage) {
        unsafe $0.storeBytes(of: address, as: sockaddr_in6.self)
      }
    }
    // The pointer lives as long as `storage`, which outlives the call; `length` bytes of it are the address.
    let result = unsafe withUnsafePointer(to: &storage) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        Swift.Result<Result, SystemError> { () throws(SystemError) in
          unsafe try body(address, socklen_t(length))
        }
      }
    }
    return try result.get()
  }

  private var in6Address: in6_addr {
    var address = in6_addr()
    // An in6_addr is 16 bytes; the two halves fill it.
    unsafe withUnsafeMutableBytes(of: &address) { bytes in
      unsafe bytes.storeBytes(of: high.bigEndian, toByteOffset: 0, as: UInt64.self)
      unsafe bytes.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
    }
    return address
  }

  private static func halves(of address: in6_addr) -> (high: UInt64, low: UInt64) {
    // An in6_addr is 16 bytes, aligned to 4: hence the unaligned loads.
    unsafe withUnsafeBytes(of: address) { bytes in
      unsafe (
        UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
        UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
      )
    }
  }
}

import Glibc
package import Sys

/// What this machine is called, at one moment.
package struct LocalHosts: Equatable, Sendable {
  /// How often it is looked at again: addresses come and go.
  static let interval: Duration = .seconds(60)

  /// The host name in lower case, whole and its first label, and the text of every address of every interface.
  package let names: Set<String>
  /// Why the addresses are missing; nil where they are there.
  package let failure: SystemError?

  /// Asks the kernel: over netlink, which a sandbox may forbid.
  package static func current() -> LocalHosts {
    var hosts: Set<String> = []
    var name = [CChar](repeating: 0, count: Int(HOST_NAME_MAX) + 1)
    // The last byte stays 0 whatever gethostname(2) writes before it.
    if unsafe gethostname(&name, name.count - 1) == 0 {
      let bytes = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
      let whole = String(decoding: bytes, as: UTF8.self).lowercased()
      hosts.insert(whole)
      hosts.insert(String(whole.prefix { $0 != "." }))
    }
    var list: UnsafeMutablePointer<ifaddrs>?
    guard unsafe getifaddrs(&list) == 0 else {
      return LocalHosts(names: hosts, failure: SystemError("getifaddrs", code: errno))
    }
    defer { unsafe freeifaddrs(list) }
    var next = unsafe list
    while let interface = unsafe next {
      // An interface's address is null or a sockaddr of its family's size (getifaddrs(3)).
      if let address = unsafe interface.pointee.ifa_addr, let text = unsafe host(of: address) {
        hosts.insert(text)
      }
      unsafe next = interface.pointee.ifa_next
    }
    return LocalHosts(names: hosts, failure: nil)
  }

  private static func host(of address: UnsafeMutablePointer<sockaddr>) -> String? {
    var storage = sockaddr_storage()
    let length: Int
    switch unsafe Int32(address.pointee.sa_family) {
    case AF_INET: length = MemoryLayout<sockaddr_in>.size
    case AF_INET6: length = MemoryLayout<sockaddr_in6>.size
    default: return nil
    }
    // The family says how many bytes stand there, and a sockaddr_storage holds each of both.
    unsafe withUnsafeMutableBytes(of: &storage) { bytes in
      unsafe bytes.copyMemory(from: UnsafeRawBufferPointer(start: address, count: length))
    }
    return SocketAddress(storage)?.host
  }
}

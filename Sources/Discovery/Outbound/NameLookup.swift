import Glibc
import Sys

/// A name to look up.
struct NameQuestion: Hashable, Sendable {
  /// A name, or an address, which has itself.
  let host: String
  /// What each of its addresses is called is asked for too.
  let wantsNames: Bool
}

/// One address of a name.
struct FoundAddress: Hashable, Sendable {
  let address: SocketAddress
  /// What the address is called by its reverse zone; nil where it is not called anything, or was not asked for.
  let name: String?
}

/// Why a name has no address, in the resolver's words.
struct LookupFailure: Error, Equatable, Sendable {
  let reason: String
}

typealias NameAnswer = Result<[FoundAddress], LookupFailure>

extension NameQuestion {
  /// More addresses of one name than this are not looked at.
  static let addressesMax = 64

  /// Asks as everybody on this machine does (getaddrinfo(3)), and waits for as long as resolver(5) says: half a minute, where no
  /// name server answers.
  func ask() -> NameAnswer {
    // All zeros, as getaddrinfo(3) asks for what is not said.
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let code = unsafe getaddrinfo(host, nil, &hints, &list)
    guard code == 0 else {
      // The text of a code is a constant.
      let text =
        code == EAI_SYSTEM
        ? "\(SystemError("getaddrinfo", code: errno))" : unsafe String(cString: gai_strerror(code))
      return .failure(LookupFailure(reason: "\(host): \(text)"))
    }
    defer { unsafe freeaddrinfo(list) }
    var found: [FoundAddress] = []
    var next = unsafe list
    while let info = unsafe next, found.count < Self.addressesMax {
      if let address = unsafe Self.address(info), !found.contains(where: { $0.address == address })
      {
        let name = wantsNames ? unsafe Self.name(info) : nil
        found.append(FoundAddress(address: address, name: name))
      }
      unsafe next = info.pointee.ai_next
    }
    return found.isEmpty
      ? .failure(LookupFailure(reason: "\(host): it has no address")) : .success(found)
  }

  private static func address(_ info: UnsafeMutablePointer<addrinfo>) -> SocketAddress? {
    let length = unsafe Int(info.pointee.ai_addrlen)
    var storage = sockaddr_storage()
    guard let address = unsafe info.pointee.ai_addr, length <= MemoryLayout<sockaddr_storage>.size
    else { return nil }
    // `length` bytes stand there, and a sockaddr_storage holds them.
    unsafe withUnsafeMutableBytes(of: &storage) { bytes in
      unsafe bytes.copyMemory(from: UnsafeRawBufferPointer(start: address, count: length))
    }
    return SocketAddress(storage)
  }

  private static func name(_ info: UnsafeMutablePointer<addrinfo>) -> String? {
    var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    // The address is of the length that stands beside it; the text ends with NUL within the buffer.
    let code = unsafe getnameinfo(
      info.pointee.ai_addr, info.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0,
      NI_NAMEREQD)
    return code == 0 ? String(untilNUL: text) : nil
  }
}

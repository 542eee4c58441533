import CLinux
import Glibc

/// The memory that this process may use at the most, and who says so: the least of what the machine has, of the limits of its
/// control groups, and of what its own (RLIMIT_AS, RLIMIT_DATA) leave: these count what is mapped, of which most is never touched.
package struct MemoryLimit: Equatable, Sendable {
  package let bytes: UInt64
  /// `the machine's memory`, a file of a control group, or a limit's name.
  package let source: String

  package init(bytes: UInt64, source: String) {
    self.bytes = bytes
    self.source = source
  }

  /// Asks the kernel.
  ///
  /// - Parameters:
  ///   - threads: how many are still to be started, each with a stack of its own.
  ///   - membership: the file that tells the groups of this process (cgroups(7)).
  ///   - hierarchy: where control groups are mounted.
  /// - Returns: nil where nobody says anything, which no Linux does.
  package static func current(
    threads: Int = 0, membership: String = "/proc/self/cgroup", hierarchy: String = "/sys/fs/cgroup"
  ) -> MemoryLimit? {
    var limits: [MemoryLimit] = []
    let bytes = clinux_memory_bytes()
    if bytes > 0 { limits.append(MemoryLimit(bytes: bytes, source: "the machine's memory")) }
    let mapped = MappedMemory.current
    let stacks = UInt64(threads) * min(limit(RLIMIT_STACK) ?? Self.stackBytes, 1 << 40)
    for (resource, name, used) in [
      (RLIMIT_AS, "RLIMIT_AS", mapped.all), (RLIMIT_DATA, "RLIMIT_DATA", mapped.data),
    ] {
      guard let bytes = limit(resource) else { continue }
      let needed = used + stacks
      limits.append(MemoryLimit(bytes: bytes > needed ? bytes - needed : 0, source: name))
    }
    for file in limitFiles(shortText(membership) ?? "", hierarchy: hierarchy) {
      if let bytes = shortText(file).flatMap(limit(of:)) {
        limits.append(MemoryLimit(bytes: bytes, source: file))
      }
    }
    return limits.min { $0.bytes < $1.bytes }
  }

  /// Where addresses are limited, has malloc keep to one arena: one for each thread would map 64 MiB of them, touched or not, and
  /// leave none for what is needed. Before the first thread starts.
  package static func spareAddresses() {
    if limit(RLIMIT_AS) != nil { clinux_use_one_arena() }
  }

  /// Of a thread where RLIMIT_STACK says nothing (pthread_create(3)).
  private static let stackBytes: UInt64 = 2 << 20

  /// The soft limit; nil for none.
  private static func limit(_ resource: __rlimit_resource) -> UInt64? {
    var limit = rlimit()
    // The kernel fills the structure where it answers 0.
    guard unsafe getrlimit(__rlimit_resource_t(resource.rawValue), &limit) == 0 else { return nil }
    // All bits set is RLIM_INFINITY: no limit.
    return limit.rlim_cur == rlim_t.max ? nil : UInt64(limit.rlim_cur)
  }

  /// What this process has mapped now, in bytes; zeros where /proc does not say.
  private struct MappedMemory {
    let all, data: UInt64

    static var current: MappedMemory {
      // Numbers of pages: all, resident, shared, text, libraries, data with stacks (proc(5)).
      let pages = (shortText("/proc/self/statm") ?? "").split(whereSeparator: \.isWhitespace)
        .map { UInt64($0) ?? 0 }
      guard pages.count > 5 else { return MappedMemory(all: 0, data: 0) }
      let page = UInt64(max(0, sysconf(Int32(_SC_PAGESIZE))))
      return MappedMemory(all: pages[0] * page, data: pages[5] * page)
    }
  }

  /// The files that limit a process of these groups: its own group's, and those of every group around that.
  ///
  /// - Parameter membership: the lines of /proc/self/cgroup: `0::/path` for version 2, `7:memory:/path` for version 1.
  package static func limitFiles(_ membership: String, hierarchy: String) -> [String] {
    var files: [String] = []
    for line in membership.split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { continue }
      let root: String
      let name: String
      if parts[0] == "0", parts[1].isEmpty {
        (root, name) = (hierarchy, "memory.max")
      } else if parts[1].split(separator: ",").contains("memory") {
        (root, name) = (hierarchy + "/memory", "memory.limit_in_bytes")
      } else {
        continue
      }
      // A path that leads out of the namespace (`/../…`) names nothing that could be seen here; the root still can.
      var path = parts[2].split(separator: "/")
      if path.contains("..") { path = [] }
      for count in stride(from: path.count, through: 0, by: -1) {
        files.append(([root[...]] + path.prefix(count) + [name[...]]).joined(separator: "/"))
      }
    }
    return files
  }

  /// The number in such a file; nil where it says `max`, or nothing that could be understood. Version 1 writes a number near 2^63
  /// for no limit, which is more than any machine has.
  package static func limit(of text: String) -> UInt64? {
    UInt64(text.prefix { $0 != "\n" })
  }

  /// A short file of the kernel's, which has no size to ask for; nil where it cannot be read, or is longer than 64 KiB.
  private static func shortText(_ path: String) -> String? {
    let number = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
    if number < 0 { return nil }
    let descriptor = FileDescriptor(owning: number)
    var text = [UInt8](repeating: 0, count: 64 << 10)
    var count = 0
    while count < text.count {
      // At most what is left of the array is written.
      let result = unsafe text.withUnsafeMutableBytes {
        unsafe read(descriptor.number, $0.baseAddress.map { unsafe $0 + count }, $0.count - count)
      }
      if result < 0, errno == EINTR { continue }
      if result < 0 { return nil }
      if result == 0 { return String(decoding: text.prefix(count), as: UTF8.self) }
      count += result
    }
    return nil
  }
}

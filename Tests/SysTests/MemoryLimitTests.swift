import Glibc
import Testing

@testable import Sys

/// What the control groups of this process, and their files, are taken to say.
struct MemoryLimitTests {
  /// A new directory with these files, which go with this object.
  final class Folder {
    let path: String
    private var made: [(path: String, isFolder: Bool)] = []

    init(_ files: [String: String] = [:]) throws {
      var template = Array("/tmp/memory-limit-XXXXXX".utf8CString)
      // mkdtemp(3) changes the last six characters in place.
      try #require(unsafe mkdtemp(&template) != nil)
      path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
      for (name, text) in files { try add(name, text) }
    }

    func add(_ name: String, _ text: String) throws {
      var folder = path
      for part in name.split(separator: "/").dropLast() {
        folder += "/\(part)"
        if unsafe mkdir(folder, 0o700) == 0 { made.append((folder, true)) }
      }
      let number = unsafe open("\(path)/\(name)", O_WRONLY | O_CREAT, 0o600)
      defer { close(number) }
      let bytes = Array(text.utf8)
      // The array is readable for the length of the call.
      try #require(unsafe write(number, bytes, bytes.count) == bytes.count)
      made.append(("\(path)/\(name)", false))
    }

    deinit {
      for (path, isFolder) in made.reversed() {
        _ = unsafe isFolder ? rmdir(path) : unlink(path)
      }
      unsafe rmdir(path)
    }
  }

  @Test(arguments: [
    ("0::/", ["/c/memory.max"]),
    (
      "0::/system.slice/a.service\n",
      [
        "/c/system.slice/a.service/memory.max", "/c/system.slice/memory.max", "/c/memory.max",
      ]
    ),
    ("0::/a:b c", ["/c/a:b c/memory.max", "/c/memory.max"]),
    // A group outside of the namespace; only its root is to be seen.
    ("0::/../../x", ["/c/memory.max"]),
    (
      "5:cpu,memory:/docker/1",
      [
        "/c/memory/docker/1/memory.limit_in_bytes", "/c/memory/docker/memory.limit_in_bytes",
        "/c/memory/memory.limit_in_bytes",
      ]
    ),
    ("9:name=systemd:/\n4:pids:/x\n3:memory_of_another_kind:/\n0", []),
    ("", []),
  ])
  func ownAndAllAround(membership: String, files: [String]) {
    #expect(MemoryLimit.limitFiles(membership, hierarchy: "/c") == files)
  }

  @Test(arguments: [
    ("1073741824\n", UInt64(1_073_741_824)), ("0\n", 0),
    ("9223372036854771712\n", 9_223_372_036_854_771_712),
    ("max\n", nil), ("", nil), ("-1\n", nil), ("1G\n", nil), ("99999999999999999999\n", nil),
  ])
  func aNumberOrNone(text: String, bytes: UInt64?) {
    #expect(MemoryLimit.limit(of: text) == bytes)
  }

  @Test func theLeastCounts() throws {
    let groups = try Folder([
      "member": "0::/a/b\n", "a/b/memory.max": "max\n", "a/memory.max": "16777216\n",
      "memory.max": "33554432\n",
    ])
    let limit = MemoryLimit.current(membership: "\(groups.path)/member", hierarchy: groups.path)
    #expect(limit == MemoryLimit(bytes: 16_777_216, source: "\(groups.path)/a/memory.max"))
  }

  /// Where no group says anything, or none can be read, the machine does, without /proc.
  @Test func theMachineHasMemory() throws {
    let folder = try Folder(["member": "0::/a\n", "long": String(repeating: "1", count: 65_536)])
    for member in ["member", "long", "missing", ""] {
      let limit = try #require(
        MemoryLimit.current(membership: "\(folder.path)/\(member)", hierarchy: folder.path))
      #expect(limit.bytes > 64 << 20)
    }
  }
}

import Glibc
import Sys
import Testing

@Suite struct DirectoryWatchTests {
  /// A new directory, which goes with the test. Each call copies its strings, null-terminated, for as
  /// long as it takes.
  private final class Scratch {
    let path: String

    init() throws {
      var template = Array("/tmp/systests.XXXXXX".utf8CString)
      // mkdtemp writes the name over the template's last six characters.
      guard unsafe mkdtemp(&template) != nil else { throw SystemError("mkdtemp", code: errno) }
      path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    private var made: [String] = []

    deinit {
      while let last = made.popLast() { unsafe remove(last) }
      unsafe remove(path)
    }

    func directory(_ name: String) {
      unsafe mkdir("\(path)/\(name)", 0o700)
      made.append("\(path)/\(name)")
    }

    func link(_ name: String, to target: String) {
      unsafe symlink(target, "\(path)/\(name)")
      made.append("\(path)/\(name)")
    }
  }

  private let scratch: Scratch

  init() throws { scratch = try Scratch() }

  @Test func `a file without links changes in its own directory`() {
    #expect(directories(of: "\(scratch.path)/key.pem") == [scratch.path])
    #expect(directories(of: "key.pem") == ["."])
    #expect(directories(of: "/key.pem") == ["/"])
  }

  @Test func `a volume of Kubernetes changes where its links are`() {
    scratch.directory("..2026")
    scratch.link("..data", to: "..2026")
    scratch.link("tls.crt", to: "..data/tls.crt")
    let (top, version) = (scratch.path, "\(scratch.path)/..2026")
    #expect(directories(of: "\(top)/tls.crt") == [top, top, version])
  }

  @Test func `a directory on the way may be a link, relative or not`() {
    scratch.directory("releases")
    scratch.directory("releases/1")
    scratch.link("current", to: "releases/1")
    scratch.link("releases/1/key.pem", to: "\(scratch.path)/key.pem")
    let top = scratch.path
    #expect(
      directories(of: "\(top)/current/key.pem") == [top, "\(top)/releases/1", top])
  }

  @Test func `links in a circle end`() {
    scratch.link("a", to: "b")
    scratch.link("b", to: "a")
    #expect(Set(directories(of: "\(scratch.path)/a")) == [scratch.path])
  }

  @Test func `a watch is woken by a link that is swapped`() throws {
    let watch = try DirectoryWatch()
    scratch.link("current", to: "one")
    #expect(
      directories(of: "\(scratch.path)/current/key.pem").allSatisfy { directory in
        // The target is not there, and cannot be watched; the directory of the link can.
        watch.add(directory) || directory.hasSuffix("/one")
      })
    // `poll` writes to `entry` and nothing else.
    var entry = pollfd(fd: watch.number, events: Int16(POLLIN), revents: 0)
    #expect(unsafe poll(&entry, 1, 0) == 0)
    scratch.link("new", to: "two")
    #expect(unsafe poll(&entry, 1, 120_000) == 1)
    watch.clear()
    #expect(unsafe poll(&entry, 1, 0) == 0)
    // Both strings are copied for the call.
    unsafe rename("\(scratch.path)/new", "\(scratch.path)/current")
    #expect(unsafe poll(&entry, 1, 120_000) == 1)
  }
}

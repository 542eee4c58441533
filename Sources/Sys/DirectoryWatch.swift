import CLinux
import Glibc

/// Hears of files that are written, renamed or swapped in directories (inotify(7)).
package final class DirectoryWatch: Sendable {
  private let descriptor: FileDescriptor

  package init() throws(SystemError) {
    let number = try systemCall("inotify_init1") {
      inotify_init1(Int32(IN_NONBLOCK | IN_CLOEXEC))
    }
    descriptor = FileDescriptor(owning: number)
  }

  /// What to register for reading.
  package var number: Int32 { descriptor.number }

  /// Watches a directory from now on; watching it again changes nothing.
  ///
  /// - Returns: false where it cannot be watched: it is gone, or the user has no watches left.
  package func add(_ directory: String) -> Bool {
    let events = UInt32(
      IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_ATTRIB | IN_ONLYDIR)
    return unsafe inotify_add_watch(descriptor.number, directory, events) >= 0
  }

  /// Forgets what was heard: the owner looks at the files themselves.
  package func clear() {
    var events = [UInt8](repeating: 0, count: 4096)
    // Each read fills as much of the array as there is; EAGAIN ends it.
    while unsafe read(descriptor.number, &events, events.count) > 0 {}
  }
}

/// The directories in which a change of the file would show: its own, and that of every symbolic
/// link on the way to it, any of which may be swapped.
package func directories(of path: String) -> [String] {
  var found: [String] = []
  var path = path
  // The kernel follows no more links than these either (path_resolution(7)).
  for _ in 0..<40 {
    guard let link = firstLink(in: path) else { break }
    found.append(directory(of: link.path))
    path = link.resolved
  }
  found.append(directory(of: path))
  return found
}

/// The first part of `path` that is a symbolic link, and the path with the link's target for it.
private func firstLink(in path: String) -> (path: String, resolved: String)? {
  let ends = path.indices.filter { path[$0] == "/" && $0 != path.startIndex } + [path.endIndex]
  for end in ends {
    let link = String(path[..<end])
    var target = [CChar](repeating: 0, count: Int(PATH_MAX))
    // At most as many bytes are written as there are; EINVAL says that it is no link.
    let count = unsafe readlink(link, &target, target.count)
    guard count > 0 else { continue }
    let bytes = target[..<count].map(UInt8.init(bitPattern:))
    let text = String(decoding: bytes, as: UTF8.self)
    let start = text.hasPrefix("/") ? "" : directory(of: link) + "/"
    return (link, start + text + path[end...])
  }
  return nil
}

private func directory(of path: String) -> String {
  guard let slash = path.lastIndex(of: "/") else { return "." }
  return slash == path.startIndex ? "/" : String(path[..<slash])
}

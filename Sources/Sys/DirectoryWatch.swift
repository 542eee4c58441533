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

/// The directories in which a change of the file would show: its own, and that of the file that a symbolic link on
/// the way leads to.
package func directories(of path: String) -> [String] {
  var found = [directory(of: path)]
  // realpath(3) allocates its answer for the caller to free.
  if let resolved = unsafe realpath(path, nil) {
    let target = directory(of: unsafe String(cString: resolved))
    unsafe free(resolved)
    if target != found[0] { found.append(target) }
  }
  return found
}

private func directory(of path: String) -> String {
  guard let slash = path.lastIndex(of: "/") else { return "." }
  return slash == path.startIndex ? "/" : String(path[..<slash])
}

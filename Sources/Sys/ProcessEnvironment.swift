import CLinux
import Glibc

/// The process's environment: to be read once, at the start, before any thread could change it.
package func processEnvironment() -> [String: String] {
  var variables: [String: String] = [:]
  // environ(7): an array of C strings that ends with a null pointer; nobody writes to it while we read.
  guard var entry = unsafe clinux_environment() else { return [:] }
  while let text = unsafe entry.pointee {
    let pair = unsafe String(cString: text)
      .split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    if pair.count == 2 { variables[String(pair[0])] = String(pair[1]) }
    unsafe entry += 1
  }
  return variables
}

/// Makes this process not dumpable (prctl(2), PR_SET_DUMPABLE): it leaves no core, and no other process of its user reads its
/// memory, its environment or its descriptors, or traces it; those with CAP_SYS_PTRACE still do. What it reads of itself
/// under /proc/self stays readable. To be called before any secret is read.
///
/// - Throws: what prctl(2) says, which only a sandbox makes fail.
package func forbidDumps() throws(SystemError) {
  _ = try systemCall("prctl") { clinux_forbid_dumps() }
}

/// Writes a message to standard error, as far as it is taken within a second: for the last words before an exit, which waits for
/// nobody.
package func writeToStandardError(_ text: String) {
  var rest = Array(text.utf8)[...]
  while !rest.isEmpty {
    var waiting = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
    // One entry, which poll(2) reads and fills.
    guard unsafe poll(&waiting, 1, 1000) > 0 else { return }
    // A pipe that can be written to has room for so many bytes (PIPE_BUF, pipe(7)). They stay where they are for the call; where
    // nobody reads standard error, nobody is left to tell.
    let count = unsafe rest.prefix(4096).withUnsafeBytes { bytes in
      unsafe write(STDERR_FILENO, bytes.baseAddress, bytes.count)
    }
    guard count > 0 else { return }
    rest = rest.dropFirst(count)
  }
}

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

/// Writes a message to standard error at once, as far as it is taken: for the last words before an exit.
package func writeToStandardError(_ text: String) {
  let bytes = Array(text.utf8)
  // The array's bytes stay where they are for the call; where nobody reads standard error, nobody is left to tell.
  _ = unsafe bytes.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
}

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

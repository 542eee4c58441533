/// What is wrong with the configuration of discovery, found before anything is asked.
package enum DiscoveryError: Error, Equatable, Sendable {
  /// An option or a variable has a value that makes no sense.
  case invalid(option: String, reason: String)
  /// A file that an option names cannot be read.
  case unreadable(option: String, path: String, reason: String)
  /// A file that an option names is not what it should be.
  case unfit(option: String, path: String, reason: String)

  /// One sentence for the operator: names the option or the file, and says what to do.
  package var message: String {
    switch self {
    case .invalid(let option, let reason): "\(option): \(reason)"
    case .unreadable(let option, let path, let reason): "\(option): cannot read \(path): \(reason)"
    case .unfit(let option, let path, let reason): "\(option): \(path): \(reason)"
    }
  }
}

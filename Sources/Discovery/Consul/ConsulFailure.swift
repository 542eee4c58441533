/// Why there is no answer that can be used.
struct ConsulFailure: Error {
  let reason: SafeText
  /// Nobody listens at the agent's address.
  var isRefused = false
  /// As sent.
  var retryAfter: String?
}

extension ServiceHealthError {
  /// For people.
  var reason: String {
    switch self {
    case .nestedTooDeep: "an answer nested deeper than \(ServiceEntry.nestingMax)"
    case .notJSON: "an answer that is not JSON"
    case .notServiceHealth: "an answer that is not a list of service instances"
    }
  }
}

/// The environment as the configuration reads it: a value, so that a test can make one.
package struct Environment: Sendable {
  private let variables: [String: String]

  package init(_ variables: [String: String]) {
    self.variables = variables
  }

  /// The variable's value; an empty one counts as not set.
  package subscript(_ name: String) -> String? {
    guard let value = variables[name], !value.isEmpty else { return nil }
    return value
  }

  /// As Go's strconv.ParseBool reads it, for the Consul CLI and Vault's do.
  package func flag(_ name: String) throws(DiscoveryError) -> Bool? {
    switch self[name] {
    case nil: return nil
    case "1", "t", "T", "TRUE", "true", "True": return true
    case "0", "f", "F", "FALSE", "false", "False": return false
    case .some(let value):
      throw .invalid(
        option: name, reason: "\"\(sanitized(value))\" is neither true nor false; write 1 or 0")
    }
  }
}

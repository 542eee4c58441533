/// Options from the environment: `VAULT_REDIRECTOR_<FLAG>`, the flag in capitals with `_` for `-`, for every flag
/// that the command line does not have.
enum EnvironmentDefaults {
  /// How a flag takes its value.
  private enum Kind {
    /// 1, true, yes, on; 0, false, no, off.
    case switched
    /// A number of times.
    case counted
    case value
    /// Values separated by commas.
    case repeated

    var takesValue: Bool { self == .value || self == .repeated }
  }

  /// The arguments that the environment stands for.
  ///
  /// - Throws: wrong use, naming the variable.
  static func arguments(
    besides commandLine: [String], in environment: [String: String]
  ) throws(StartupError) -> [String] {
    let spoken = spokenFlags(commandLine)
    try refuseUnknownNames(in: environment)
    var arguments: [String] = []
    for (flag, kind, short) in flags {
      let name = variable(for: flag)
      guard let value = environment[name], !spoken.contains(flag),
        short.map({ !spoken.contains(String($0)) }) ?? true
      else { continue }
      // Kubernetes puts `tcp://10.0.0.1:8080` there for a service that is called vault-redirector.
      if flag == "port", value.hasPrefix("tcp://") { continue }
      // Nobody can say whether it was meant to switch something off, such as the CAs of clients.
      guard !value.isEmpty else {
        throw .usage(name, "is set, and empty: give it a value, or unset it")
      }
      switch kind {
      case .switched:
        if try isTrue(value, name) { arguments.append("--\(flag)") }
      case .counted:
        guard let count = Int(value), (0...9).contains(count) else {
          throw .usage(name, "not a number from 0 to 9")
        }
        arguments += Array(repeating: "--\(flag)", count: count)
      case .value:
        arguments.append("--\(flag)=\(value)")
      case .repeated:
        arguments += value.split(separator: ",").map { "--\(flag)=\($0)" }
      }
    }
    return arguments
  }

  /// A name that nobody reads is a setting that is not in force, though its author thinks it is.
  private static func refuseUnknownNames(
    in environment: [String: String]
  ) throws(StartupError) {
    let known = Set(flags.map { variable(for: $0.name) })
    for name in environment.keys.sorted()
    where name.hasPrefix("VAULT_REDIRECTOR_") && !known.contains(name) && !isOfKubernetes(name) {
      throw .usage(name, "no option has this name; --help lists them")
    }
  }

  /// What Kubernetes sets for a service that is called vault-redirector: `…_SERVICE_HOST`, `…_SERVICE_PORT_HTTPS`,
  /// `…_PORT_443_TCP_ADDR` and their like.
  private static func isOfKubernetes(_ name: String) -> Bool {
    let rest = name.dropFirst("VAULT_REDIRECTOR_".count)
    if rest == "SERVICE_HOST" || rest == "SERVICE_PORT" || rest.hasPrefix("SERVICE_PORT_") {
      return true
    }
    guard rest.hasPrefix("PORT_") else { return false }
    let words = rest.split(separator: "_", omittingEmptySubsequences: false).dropFirst()
    guard let port = words.first, UInt16(port) != nil, let transport = words.dropFirst().first,
      ["TCP", "UDP", "SCTP"].contains(transport)
    else { return false }
    let end = words.dropFirst(2)
    return end.isEmpty || (end.count == 1 && ["PROTO", "PORT", "ADDR"].contains(end.first))
  }

  static func variable(for flag: String) -> String {
    "VAULT_REDIRECTOR_" + flag.uppercased().map { $0 == "-" ? "_" : String($0) }.joined()
  }

  private static func isTrue(_ value: String, _ name: String) throws(StartupError) -> Bool {
    switch value.lowercased() {
    case "1", "true", "yes", "on": true
    case "0", "false", "no", "off": false
    default: throw .usage(name, "neither true nor false")
    }
  }

  /// The long and short names on a command line, without their dashes.
  private static func spokenFlags(_ commandLine: [String]) -> Set<String> {
    var spoken: Set<String> = []
    for argument in commandLine {
      if argument == "--" { break }
      if argument.hasPrefix("--") {
        spoken.insert(String(argument.dropFirst(2).prefix { $0 != "=" }))
      } else if argument.hasPrefix("-") {
        // Letters in one word, until one of them takes the rest as its value.
        for letter in argument.dropFirst() {
          spoken.insert(String(letter))
          if flags.contains(where: { $0.short == letter && $0.kind.takesValue }) { break }
        }
      }
    }
    return spoken
  }

  private static let flags: [(name: String, kind: Kind, short: Character?)] = [
    ("verbose", .counted, "v"), ("log-disable", .switched, "l"), ("https", .switched, "S"),
    ("ip", .switched, "I"), ("poll-interval", .value, "p"), ("port", .value, "P"),
    ("cert-path", .repeated, "c"), ("key-path", .repeated, "k"), ("checkid", .value, "C"),
    ("bind", .repeated, nil), ("workers", .value, nil), ("allow-downgrade", .switched, nil),
    ("proxy-protocol", .value, nil), ("proxy-protocol-from", .value, nil), ("admin", .value, nil),
    ("admin-allow-remote", .switched, nil), ("access-log", .value, nil), ("log-path", .value, nil),
    ("tls-policy", .value, nil), ("tls-min", .value, nil), ("tls-ciphers", .value, nil),
    ("tls-ciphersuites", .value, nil), ("tls-groups", .value, nil), ("cert-watch", .value, nil),
    ("ticket-key-file", .value, nil), ("client-ca", .value, nil), ("client-verify", .value, nil),
    ("client-depth", .value, nil), ("client-crl", .value, nil), ("check-config", .switched, nil),
    ("service", .value, nil), ("active-tag", .value, nil), ("require-tag", .repeated, nil),
    ("target", .value, nil),
    ("select", .value, nil), ("target-template", .value, nil), ("allow-target", .repeated, nil),
    ("datacenter", .value, nil), ("namespace", .value, nil), ("partition", .value, nil),
    ("vault-addr", .repeated, nil), ("vault-cacert", .value, nil), ("probe-interval", .value, nil),
    ("probe-timeout", .value, nil), ("verify-target", .switched, nil),
    ("print-target", .switched, nil), ("json", .switched, nil), ("stale-limit", .value, nil),
    ("hold", .value, nil), ("hold-max", .value, nil), ("health-grace", .value, nil),
    ("health-stale", .value, nil), ("vanish-grace", .value, nil),
    ("max-connections", .value, nil), ("backlog", .value, nil),
    ("max-connections-per-ip", .value, nil),
    ("max-requests-per-connection", .value, nil), ("max-request-line", .value, nil),
    ("max-head", .value, nil), ("max-fields", .value, nil), ("max-body", .value, nil),
    ("body-timeout", .value, nil), ("head-timeout", .value, nil),
    ("handshake-timeout", .value, nil), ("proxy-header-timeout", .value, nil),
    ("keep-alive-timeout", .value, nil), ("write-timeout", .value, nil),
    ("linger-timeout", .value, nil), ("shutdown-timeout", .value, nil),
  ]
}

package import Redirect
package import Telemetry

/// What discovery sees when it asks once, for a person or a script: every node, and which one is chosen and why.
package struct NodeTable: Equatable, Sendable {
  /// One node.
  package struct Row: Equatable, Sendable {
    package let name: String
    /// `host:port`, or `-` where there is no usable one.
    package let address: String
    /// What it is by Consul's tags and checks, or by its own word.
    package let role: String
    /// Consul's checks, those that do not pass by name.
    package let checks: String
    /// Why it is chosen, or why not.
    package let verdict: String
    package let isChosen: Bool
  }

  package let rows: [Row]
  /// Where clients would be sent, as `https://host:port`; nil where there is no such place.
  package let target: String?
  /// Why there is no target; nil where there is one.
  package let reason: String?

  /// For a terminal: a table, and the target or the reason on the last line.
  package var text: String {
    let header = ["NODE", "ADDRESS", "ROLE", "CHECKS", "VERDICT"]
    let cells = rows.map { row in
      [row.name, row.address, row.role, row.checks, row.verdict].map { sanitized($0) }
    }
    let lines = [header] + cells
    let widths = header.indices.map { column in lines.map { $0[column].utf8.count }.max() ?? 0 }
    var text = ""
    for line in lines where !rows.isEmpty {
      for (cell, width) in zip(line.dropLast(), widths) {
        text += cell + String(repeating: " ", count: width + 2 - cell.utf8.count)
      }
      text += (line.last ?? "") + "\n"
    }
    if let target { return text + "target: \(target)\n" }
    return text + "no target: \(reason ?? "")\n"
  }

  /// For a program: one JSON object on one line.
  package var json: String {
    var json = JSONText()
    json.open("{")
    json.member("target", target)
    json.member("reason", reason)
    json.open("[", key: "nodes")
    for row in rows {
      json.open("{")
      json.member("name", row.name)
      json.member("address", row.address == "-" ? nil : row.address)
      json.member("role", row.role)
      json.member("checks", row.checks)
      json.member("verdict", row.verdict)
      json.member("chosen", row.isChosen)
      json.close("}")
    }
    json.close("]")
    json.close("}")
    return String(decoding: json.bytes, as: UTF8.self) + "\n"
  }
}

extension NodeTable {
  /// Asks every source once, on the calling thread, until all have answered or failed, or `timeLimit` is over.
  package static func ask(
    _ configuration: DiscoveryConfiguration, log: Log, timeLimit: Duration = .seconds(15),
    time: TimeSource = .system
  ) -> NodeTable {
    CurlLibrary.prepare()
    let cell = ActiveNodeCell(status: DiscoveryStatus(source: .consul), time: time)
    let machine = DiscoveryMachine(configuration, cell: cell, log: log, metrics: DiscoveryMetrics())
    {
      Double.random(in: 0..<1)
    }
    let loop = TransferLoop()
    let lookups = NameLookups(waking: loop.waker)
    let deadline = time.now().monotonic + timeLimit
    while !machine.hasAskedAll {
      let now = time.now()
      guard now.monotonic < deadline else { break }
      for (question, request) in machine.due(now: now) { loop.start(request, for: question) }
      for question in machine.lookupsDue(now: now) { lookups.start(question) }
      let next = min(machine.nextAt ?? deadline, deadline)
      for (question, result) in loop.turn(timeout: next - now.monotonic).finished {
        machine.take(result, to: question, now: time.now())
      }
      for (question, answer) in lookups.takeFinished() {
        machine.take(answer, to: question, now: time.now())
      }
    }
    loop.cancelAll()
    return NodeTable(machine)
  }

  /// What `machine` knows.
  init(_ machine: DiscoveryMachine) {
    let selection = machine.selection
    let chosen = machine.publisher.published
    target = chosen?.target.origin
    if let catalogue = machine.catalogue {
      rows = catalogue.nodes.map { Row($0, selection, chosen: chosen) }
    } else {
      rows = selection.known.map { Row($0, selection, chosen: chosen) }
    }
    guard chosen == nil else {
      reason = nil
      return
    }
    reason =
      machine.publisher.status.lastError ?? selection.forbidden.first
      ?? (rows.isEmpty ? "the service has no instance" : "no node is active")
  }
}

extension NodeTable.Row {
  fileprivate init(_ node: RegisteredNode, _ selection: Selection, chosen: ActiveNode?) {
    let known = selection.known.first { $0.node.target == node.target }
    name = node.name
    address = node.target?.authority ?? "-"
    let isAsked = known.map { $0.opinion != .notAsked } ?? false
    role = isAsked ? "\(node.role), says \(known?.state.name ?? "")" : node.role
    let failing = node.checks.filter { $0.status != "passing" }
    checks =
      failing.isEmpty
      ? "\(node.checks.count) passing"
      : failing.map { "\($0.id) \($0.status)" }.joined(separator: ", ")
    isChosen = chosen != nil && chosen == node.node
    if let known {
      verdict = Self.verdict(known, selection, isChosen: isChosen)
    } else if case .barred(let refusal) = node.registration {
      verdict = "no: \(refusal.text)"
    } else {
      verdict = "no"
    }
  }

  fileprivate init(_ known: Selection.Known, _ selection: Selection, chosen: ActiveNode?) {
    name = known.node.name
    address = known.node.target.authority
    role = known.state.name
    checks = "-"
    isChosen = chosen == known.node
    verdict = Self.verdict(known, selection, isChosen: isChosen)
  }

  private static func verdict(
    _ known: Selection.Known, _ selection: Selection, isChosen: Bool
  ) -> String {
    if isChosen {
      return switch known.opinion {
      case .active, .overdue: "chosen: it says itself that it is active"
      case .notAsked: "chosen: the newest registration of those that could be"
      default: "chosen: it was active"
      }
    }
    if let refusal = selection.refusal(of: known) { return "no: \(refusal.text)" }
    return switch (selection.standing(of: known), known.opinion) {
    case (.candidate, .notAsked): "no: another registration is newer"
    case (.candidate, _): "no: another is active"
    default: "no: it has not answered"
    }
  }
}

import Redirect

@testable import Discovery

@c(LLVMFuzzerTestOneInput)
func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  // libFuzzer owns `count` bytes at `data` for the length of this call.
  let body = unsafe Array(UnsafeBufferPointer(start: data, count: count))
  _ = LeaderAnswer.activeTime(OutboundAnswer(status: 200, body: body))
  let entries: [ServiceEntry]
  do throws(ServiceHealthError) {
    entries = try ServiceEntry.list(from: body)
  } catch {
    check(error != .nestedTooDeep || body.count > ServiceEntry.nestingMax, "a short body is flat")
    return 0
  }
  check((try? ServiceEntry.list(from: body)) == entries, "a body is read alike each time")
  for rules in everyRule { checkSelection(entries, rules) }
  return 0
}

private let everyRule: [SelectionRules] = [
  SelectionMode.tag, .check(id: nil), .check(id: "a"), .auto(id: nil),
].flatMap { mode in
  [TargetRule.node, .ip, .service, .wan, .lan].map {
    SelectionRules(mode: mode, target: $0, scheme: .https)
  }
}

private func checkSelection(_ entries: [ServiceEntry], _ rules: SelectionRules) {
  let selection = NodeSelection(entries, rules: rules)
  check(selection.verdicts.count == entries.count, "each instance is judged")
  check(
    NodeSelection(entries.reversed(), rules: rules).candidates == selection.candidates,
    "the order of the answer does not change who could be chosen")
  let chosen = entries.indices.filter { selection.verdicts[$0].outcome == .chosen }
  check(chosen.count == (selection.chosen == nil ? 0 : 1), "one node is active, or none")
  check((selection.candidates == 0) == chosen.isEmpty, "of candidates one is chosen")
  guard let index = chosen.first, let node = selection.chosen else { return }
  let entry = entries[index]
  check(!entry.checks.contains { $0.status == "critical" }, "no critical node is chosen")
  check(rules.mode != .tag || entry.tags.contains(rules.activeTag), "the tag is what counts")
  for verdict in selection.verdicts where verdict.outcome == .outranked {
    check(verdict.modifyIndex <= entry.modifyIndex, "the newest registration wins")
  }
  check(Int(node.target.port) == rules.target.address(of: entry).port, "the port is Consul's")
  let isPlain = node.target.authority.utf8.allSatisfy {
    (0x21...0x7E).contains($0) && !"/\\@?#%\"<>".utf8.contains($0)
  }
  check(isPlain, "an authority is nothing but an authority")
}

import Redirect

@testable import Discovery

@c(LLVMFuzzerTestOneInput)
func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  // libFuzzer owns `count` bytes at `data` for the length of this call.
  let body = unsafe Array(UnsafeBufferPointer(start: data, count: count))
  _ = LeaderAnswer.activeTime(OutboundAnswer(status: 200, body: body))
  for status in [200, 429, 472, 501, 503] {
    let state = VaultState(OutboundAnswer(status: status, body: body))
    check(state == .unexpected(status) || state.status == status, "a status stays what it is")
  }
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
  let catalogue = Catalogue(entries, rules: rules)
  check(catalogue.nodes.count == entries.count, "each instance is read")
  let made = selection(catalogue)
  check(
    selection(Catalogue(entries.reversed(), rules: rules)).candidates.count
      == made.candidates.count,
    "the order of the answer does not change who could be chosen")
  guard case .publish(let chosen) = made.decision else {
    check(false, "an answer is a fact")
    return
  }
  check(made.candidates.isEmpty == (chosen == nil), "of candidates one is chosen")
  guard let chosen,
    // A node may be registered twice: its newest registration is meant.
    let index = catalogue.nodes.indices.filter({
      catalogue.nodes[$0].node == chosen && catalogue.nodes[$0].registration == .active
    }).max(by: { catalogue.nodes[$0].modifyIndex < catalogue.nodes[$1].modifyIndex })
  else {
    check(chosen == nil, "whoever is chosen is registered as active")
    return
  }
  let entry = entries[index]
  check(!entry.checks.contains { $0.status == "critical" }, "no critical node is chosen")
  check(rules.mode != .tag || entry.tags.contains(rules.activeTag), "the tag is what counts")
  for other in catalogue.distinct where other.registration == .active {
    check(other.modifyIndex <= catalogue.nodes[index].modifyIndex, "the newest registration wins")
  }
  check(Int(chosen.target.port) == rules.target.address(of: entry).port, "the port is Consul's")
  let isPlain = chosen.target.authority.utf8.allSatisfy {
    (0x21...0x7E).contains($0) && !"/\\@?#%\"<>".utf8.contains($0)
  }
  check(isPlain, "an authority is nothing but an authority")
}

/// What is made of an answer where nodes are not asked.
private func selection(_ catalogue: Catalogue) -> Selection {
  let known = catalogue.distinct.compactMap { registered in
    registered.node.map {
      Selection.Known(
        node: $0, registration: registered.registration, opinion: .notAsked,
        modifyIndex: registered.modifyIndex)
    }
  }
  return Selection(known: known, published: nil)
}

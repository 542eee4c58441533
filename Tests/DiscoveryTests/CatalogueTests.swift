@testable import Discovery
import Redirect
import Testing

@Suite("Reading Consul's instances")
struct CatalogueTests {
  /// A catalogue, and whom it has chosen where nodes are not asked.
  @dynamicMemberLookup
  private struct Chosen {
    let catalogue: Catalogue
    let selection: Selection

    init(_ entries: [ServiceEntry], rules: SelectionRules) {
      catalogue = Catalogue(entries, rules: rules)
      selection = Selection(
        known: catalogue.distinct.compactMap { registered in
          registered.node.map {
            Selection.Known(
              node: $0, registration: registered.registration, opinion: .notAsked,
              modifyIndex: registered.modifyIndex)
          }
        }, published: nil)
    }

    var chosen: ActiveNode? {
      if case .publish(let node) = selection.decision { node } else { nil }
    }
    var candidates: Int { selection.candidates.count }

    subscript<Value>(dynamicMember path: KeyPath<Catalogue, Value>) -> Value {
      catalogue[keyPath: path]
    }
  }

  private func select(
    _ entries: [String], _ rules: SelectionRules = SelectionRules()
  ) throws -> Chosen {
    let body = Array("[\(entries.joined(separator: ","))]".utf8)
    return Chosen(try ServiceEntry.list(from: body), rules: rules)
  }

  private static func check(_ id: String, _ status: String, service: String = "vault") -> String {
    #"[{"CheckID":"\#(id)","Status":"\#(status)","ServiceID":"\#(service)"}]"#
  }

  @Test("Of two active nodes the newest registration wins, in either order")
  func twoActive() throws {
    let older = entry("a", modifyIndex: 10)
    let newer = entry("b", modifyIndex: 11)
    for entries in [[older, newer], [newer, older]] {
      let selection = try select(entries)
      #expect(selection.chosen?.name == "b")
      #expect(selection.candidates == 2)
    }
    let tie = try select([entry("b"), entry("a")])
    #expect(tie.chosen?.name == "a")
  }

  @Test(
    "A critical check refuses a node, whichever it is",
    arguments: [
      ("serfHealth", "critical", false), ("_node_maintenance", "critical", false),
      ("_service_maintenance:vault", "critical", false),
      ("vault:10.0.0.1:8200:vault-sealed-check", "critical", false),
      ("serfHealth", "warning", true), ("serfHealth", "passing", true),
    ])
  func critical(id: String, status: String, isChosen: Bool) throws {
    let selection = try select([entry("a", checks: Self.check(id, status, service: ""))])
    #expect((selection.chosen != nil) == isChosen)
    if !isChosen {
      let text = "check \(id) is critical"
      let expected: Registration =
        id.contains("maintenance") ? .barred(Refusal(.maintenance, text)) : .critical(text)
      #expect(selection.nodes[0].registration == expected)
    }
  }

  @Test("A check without a status is critical")
  func unknownStatus() throws {
    #expect(try select([entry("a", checks: #"[{"CheckID":"x"}]"#)]).chosen == nil)
  }

  @Test(
    "Ports and hosts that no URL can have",
    arguments: [
      ("8200", "vault-a", true), ("1", "vault-a", true), ("65535", "vault-a", true),
      ("-1", "vault-a", false), ("0", "vault-a", false), ("65536", "vault-a", false),
      ("8200", "", false), ("8200", "vault a", false), ("8200", "/run/vault.sock", false),
      ("8200", "a@b", false), ("8200", "2001:db8::1", true), ("8200", "a\\r\\nX: y", false),
    ])
  func usable(port: String, host: String, isChosen: Bool) throws {
    let rules = SelectionRules(target: .service)
    let selection = try select([entry("n", address: host, nodeAddress: "", port: port)], rules)
    #expect((selection.chosen != nil) == isChosen)
  }

  @Test("An unusable node leaves the choice to the next")
  func fallback() throws {
    let selection = try select([
      entry("new", port: "-1", modifyIndex: 20), entry("old", modifyIndex: 10),
    ])
    #expect(selection.chosen?.name == "old")
    #expect(selection.candidates == 1)
  }

  @Test(
    "Null and missing parts are read as empty",
    arguments: [
      #"{"Node":{"Node":"a","Address":"10.0.0.1","Meta":null,"TaggedAddresses":null},"Service":{"Port":1,"Tags":null,"Meta":null,"TaggedAddresses":null},"Checks":null}"#,
      #"{"Node":{"Node":"a","Address":"10.0.0.1"},"Service":{"Port":1},"Unknown":{"x":[1]}}"#,
      #"{"Checks":[],"Service":{"Port":1,"Tags":[],"Locality":null},"Node":{"Node":"a"}}"#,
    ])
  func lenient(text: String) throws {
    let selection = try select([text], SelectionRules(mode: .tag))
    #expect(selection.nodes[0].registration == .inactive("it has no tag active"))
  }

  @Test(
    "The target rule picks the address",
    arguments: [
      (TargetRule.node, "", "vault-a:8200"), (.ip, "svc", "10.0.0.1:8200"),
      (.service, "svc", "svc:8200"), (.service, "", "10.0.0.1:8200"),
      (.wan, "svc", "198.51.100.1:8200"),
    ])
  func target(rule: TargetRule, address: String, expected: String) throws {
    let selection = try select(
      [entry("vault-a", address: address)], SelectionRules(target: rule))
    #expect(selection.chosen?.target.authority == expected)
  }

  @Test("A service's own tagged address goes before the node's, with its port")
  func tagged() throws {
    let wan = #", "TaggedAddresses":{"wan":{"Address":"203.0.113.5","Port":443}}"#
    let rules = SelectionRules(target: .wan)
    #expect(
      try select([entry("a", more: wan)], rules).chosen?.target.authority == "203.0.113.5:443")
    let lan = #", "TaggedAddresses":{"lan_ipv6":{"Address":"2001:db8::7","Port":8200}}"#
    #expect(
      try select([entry("a", more: lan)], SelectionRules(target: .lan)).chosen?.target.authority
        == "[2001:db8::7]:8200")
    #expect(try select([entry("a")], SelectionRules(target: .lan)).chosen == nil)
  }

  @Test("The named check decides in the stead of the tag")
  func namedCheck() throws {
    let rules = SelectionRules(mode: .check(id: "up"))
    let selection = try select(
      [
        entry("a", tags: "[]", checks: Self.check("up", "warning")),
        entry("b", tags: "[]", checks: Self.check("up", "passing")),
        entry("c", checks: Self.check("other", "passing")),
      ], rules)
    #expect(selection.chosen?.name == "b")
    #expect(selection.nodes.map(\.role) == ["standby", "active", "standby"])
    #expect(selection.nodes[0].registration == .inactive("check up is warning"))
    #expect(selection.nodes[2].registration == .inactive("it has no check up"))
  }

  @Test("Without a name every check of the service has to pass; node checks must not be critical")
  func allChecks() throws {
    let rules = SelectionRules(mode: .check(id: nil))
    let both =
      #"[{"CheckID":"x","Status":"passing","ServiceID":"v"},{"CheckID":"y","Status":"warning","ServiceID":"v"}]"#
    let node =
      #"[{"CheckID":"x","Status":"passing","ServiceID":"v"},{"CheckID":"serf","Status":"warning","ServiceID":""}]"#
    #expect(try select([entry("a", checks: both)], rules).chosen == nil)
    #expect(try select([entry("a", checks: node)], rules).chosen?.name == "a")
    #expect(
      try select([entry("a")], rules).nodes[0].registration == .inactive("the service has no check")
    )
  }

  @Test(
    "auto goes by the check only while no instance carries a tag of Vault's",
    arguments: [
      (#"["prod"]"#, "a"), ("null", "a"), (#"["standby"]"#, nil), (#"["initialized"]"#, nil),
      (#"["performance-standby"]"#, nil), (#"["leader"]"#, nil),
    ] as [(String, String?)])
  func auto(tags: String, expected: String?) throws {
    let rules = SelectionRules(mode: .auto(id: nil), activeTag: "leader")
    let selection = try select(
      [
        entry("a", tags: #"["prod"]"#, checks: Self.check("up", "passing")),
        entry("b", tags: tags, checks: Self.check("up", "critical")),
      ], rules)
    #expect(selection.chosen?.name == expected)
  }

  @Test("auto goes by no check where Vault has registered its own, seen without its tags")
  func vaultsOwnCheck() throws {
    let own = "vault:10.0.0.1:8200:vault-sealed-check"
    let selection = try select([entry("a", tags: "[]", checks: Self.check(own, "passing"))])
    #expect(selection.chosen == nil)
    #expect(selection.nodes[0].registration == .inactive("it has no tag active"))
  }

  @Test("An instance without a required tag is another cluster's: barred, whatever it says")
  func requiredTags() throws {
    let rules = SelectionRules(requiredTags: ["eu", "primary"])
    let selection = try select(
      [
        entry("a", tags: #"["active","primary"]"#, modifyIndex: 99),
        entry("b", tags: #"["active","primary","eu"]"#),
      ], rules)
    #expect(selection.chosen?.name == "b")
    #expect(selection.nodes[0].registration == .barred(Refusal(.requiredTag, "it has no tag eu")))
    #expect(selection.askable.map(\.name) == ["b"])
  }

  @Test("One target registered twice is asked once, as the better of both")
  func twice() throws {
    let rules = SelectionRules(target: .service)
    let selection = try select(
      [
        entry("old", tags: #"["standby"]"#, address: "10.0.0.9", modifyIndex: 99),
        entry("new", address: "10.0.0.9"),
      ], rules)
    #expect(selection.askable.map(\.name) == ["new"])
    #expect(selection.chosen?.name == "new")
  }

  @Test("A body that is something else is an error, never an empty list")
  func bodies() {
    let deep = String(repeating: "[", count: 10_000) + String(repeating: "]", count: 10_000)
    let wrong: [(String, ServiceHealthError)] = [
      ("", .notJSON), ("ACL not found", .notJSON), ("[", .notJSON), ("{}", .notServiceHealth),
      (#"[{"Node":{},"Service":{"Port":"8200"}}]"#, .notServiceHealth), ("[1]", .notServiceHealth),
      (deep, .nestedTooDeep), (#"[{"Service":{}}]"#, .notServiceHealth),
    ]
    for (text, expected) in wrong {
      #expect(throws: expected) { try ServiceEntry.list(from: Array(text.utf8)) }
    }
    #expect(ServiceEntry.isNested(Array(#"{"a":"[[[[\"[[[["}"#.utf8), atMost: 1))
    #expect(throws: Never.self) { try ServiceEntry.list(from: Array("[]\n".utf8)) }
  }
}

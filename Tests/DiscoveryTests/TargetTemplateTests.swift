@testable import Discovery
import Redirect
import Testing

@Suite("Targets from a template")
struct TargetTemplateTests {
  @Test(
    "Placeholders are filled from the instance",
    arguments: [
      ("https://{node}.vault.example.com:{port}", "https://a.vault.example.com:8200"),
      ("https://{node}.{dc}.example.com", "https://a.dc1.example.com:8200"),
      ("http://{ip}:80", "http://[2001:db8::1]:80"), ("https://{address}:443", "https://svc:443"),
      ("https://{node}:1{port}", "https://a:18200"), ("https://{ip}.example.com", nil),
    ] as [(String, String?)])
  func fill(template: String, expected: String?) throws {
    var instance = try #require(
      try ServiceEntry.list(from: Array("[\(entry("a", address: "svc"))]".utf8)).first)
    instance.datacenter = "dc1"
    instance.nodeAddress = "2001:db8::1"
    let rule = TargetRule.template(try TargetTemplate(template))
    let origin = rule.resolve(instance, scheme: .http).target?.origin
    #expect(origin == expected)
  }

  @Test(
    "Templates that are none",
    arguments: [
      "", "{node}:8200", "ftp://{node}", "https://", "https://{node", "https://{name}",
      "https://{node}/v1",
      "https://{node}:x", "https://{node}:1:2", "https://a b", "https://u@{node}",
      "https://{node}:0",
      "https://{node}:8{port}",
    ])
  func bad(text: String) throws {
    let error = try #require(throws: DiscoveryError.self) { try TargetTemplate(text) }
    #expect(error.message.hasPrefix("--target-template: "))
  }

  @Test("A hostile node name gives no target")
  func hostile() throws {
    let rules = SelectionRules(target: .template(try TargetTemplate("https://{node}.example.com")))
    let body = Array("[\(entry("evil/@", modifyIndex: 9)),\(entry("a"))]".utf8)
    let catalogue = Catalogue(try ServiceEntry.list(from: body), rules: rules)
    #expect(catalogue.distinct.map(\.target?.host) == ["a.example.com"])
    #expect(
      catalogue.nodes[0].registration
        == .barred(Refusal(.address, "the target template gives no usable host")))
  }
}

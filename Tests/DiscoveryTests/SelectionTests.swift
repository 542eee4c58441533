@testable import Discovery
import Redirect
import Testing

@Suite("Who is chosen")
struct SelectionTests {
  /// The table of Decisions, "Who is chosen": for who is published, and for anybody else. C: may be chosen, K: stays, R: refused,
  /// U: unknown yet.
  private static let table = """
                 notAsked unheard active overdue denied silent lost unclear
    unasked      RR       KU      CC     KR      RR     KR     RR   KR
    active       CC       KU      CC     KR      RR     KR     RR   KR
    inactive     RR       KU      CC     KR      RR     KR     RR   RR
    critical     RR       KU      CC     KR      RR     RR     RR   RR
    vanishing    KR       KU      CC     KR      RR     RR     RR   RR
    vanished     RR       KU      CC     KR      RR     RR     RR   RR
    hidden       KR       KU      CC     KR      RR     KR     RR   KR
    barred       RR       RR      RR     RR      RR     RR     RR   RR
    """

  private static let registrations: [String: Registration] = [
    "unasked": .unasked, "active": .active, "inactive": .inactive(""), "critical": .critical(""),
    "vanishing": .vanished(isRecent: true), "vanished": .vanished(isRecent: false),
    "hidden": .hidden, "barred": .barred(Refusal(.maintenance, "")),
  ]

  @Test("What Consul says of a node, and what it says itself: the whole table")
  func standings() throws {
    let lines = Self.table.split(separator: "\n").map { $0.split(separator: " ") }
    let columns = lines[0].map { name in
      Selection.Opinion.allCases.first { "\($0)" == name }
    }
    #expect(Set(columns).count == Selection.Opinion.allCases.count)
    #expect(lines.dropFirst().count == Self.registrations.count)
    for line in lines.dropFirst() {
      let registration = try #require(Self.registrations[String(line[0])])
      for (column, cell) in zip(columns, line.dropFirst()) {
        let opinion = try #require(column)
        for (isPublished, letter) in zip([true, false], cell) {
          let standing = Selection.standing(registration, opinion, isPublished: isPublished)
          #expect(
            "\(standing)".first?.uppercased() == String(letter),
            "\(line[0]), \(opinion), published \(isPublished): \(standing)")
        }
      }
    }
  }

  private func node(_ name: String) throws -> ActiveNode {
    ActiveNode(
      target: try #require(RedirectTarget(scheme: .https, host: name, port: 8200)), name: name)
  }

  private func known(
    _ name: String, _ registration: Registration, _ opinion: Selection.Opinion,
    modifyIndex: UInt64 = 0, since: String? = nil
  ) throws -> Selection.Known {
    Selection.Known(
      node: try node(name), registration: registration, opinion: opinion, modifyIndex: modifyIndex,
      activeSince: since.map { UTCTime($0) })
  }

  private func chosen(_ known: [Selection.Known], published: String? = nil) throws -> String {
    let selection = Selection(known: known, published: try published.map(node))
    return switch selection.decision {
    case .publish(let node): node?.name ?? "none"
    case .keep: "keep"
    }
  }

  @Test(
    "Of several that may be chosen: since when, who is published, the tag, the newest, the name")
  func ranks() throws {
    let old = "2026-11-21T22:49:37Z"
    let new = "2026-11-21T22:49:38Z"
    #expect(
      try chosen(
        [known("a", .active, .active, since: old), known("b", .inactive(""), .active, since: new)],
        published: "a") == "b")
    #expect(
      try chosen(
        [known("a", .inactive(""), .active, since: old), known("b", .active, .active)],
        published: "a") == "a")
    #expect(
      try chosen([known("a", .inactive(""), .active), known("b", .active, .active)]) == "b")
    #expect(
      try chosen(
        [
          known("a", .active, .notAsked, modifyIndex: 7),
          known("b", .active, .notAsked, modifyIndex: 8),
        ], published: "a") == "b")
    #expect(try chosen([known("b", .active, .active), known("a", .active, .active)]) == "a")
    // Who is registered no longer, or critical, yields.
    for registration in [Registration.critical(""), .vanished(isRecent: true)] {
      #expect(
        try chosen(
          [known("a", registration, .active), known("b", .inactive(""), .active)], published: "a")
          == "b")
    }
  }

  @Test("While one of several is asked since when it is active, who is published stays")
  func undated() throws {
    let old = "2026-11-21T22:49:37Z"
    let new = "2026-11-21T22:49:38Z"
    var third = try known("c", .active, .active)
    third.isBeingDated = true
    let nodes = try [
      known("a", .active, .active, since: old), known("b", .critical(""), .active, since: new),
      third,
    ]
    #expect(try chosen(nodes, published: "b") == "b")
    #expect(try chosen(nodes) == "a")
    #expect(try chosen(nodes.dropLast(), published: "b") == "b")
    third.isBeingDated = false
    #expect(try chosen(nodes.dropLast() + [third], published: "b") == "a")
  }

  @Test("Nobody may be chosen: who is published stays or goes, and without one nothing is hurried")
  func nobody() throws {
    #expect(try chosen([known("a", .active, .silent)], published: "a") == "keep")
    #expect(try chosen([known("a", .active, .denied)], published: "a") == "none")
    #expect(try chosen([known("b", .active, .denied)], published: "a") == "none")
    #expect(try chosen([]) == "none")
    #expect(try chosen([known("a", .active, .unheard), known("b", .unasked, .denied)]) == "keep")
    #expect(try chosen([known("a", .unasked, .silent)]) == "keep")
    #expect(try chosen([known("a", .unasked, .silent), known("b", .unasked, .denied)]) == "none")
  }
}

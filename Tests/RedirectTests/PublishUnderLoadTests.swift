import HTTP1
import Redirect
import Testing

@Suite("Publishing under load")
struct PublishUnderLoadTests {
  @Test("Through 10,000 changes every Location is one that was published, whole")
  func locations() async throws {
    let fixture = Fixture()
    let nodes = try (1...4).map { number in
      try node(String(repeating: "n", count: number * 40), port: UInt16(number))
    }
    let valid = Set(nodes.map { "\($0.target.origin)/v1/secret" })
    let cell = fixture.cell
    let clock = fixture.clock
    cell.publish(nodes[0])
    let publications = Counter()
    await withTaskGroup(of: Int.self) { group in
      for _ in 0..<2 {
        group.addTask {
          // Each worker has a responder of its own.
          let worker = Fixture(cell: cell, clock: clock)
          var answers = 0
          repeat {
            let text = worker.ask().text
            let field = text.split(separator: "\r\n").first { $0.hasPrefix("Location: ") }
            let location = field.map { String($0.dropFirst("Location: ".count)) }
            #expect(location.map(valid.contains) == true)
            answers += 1
          } while publications.value < 10_000
          return answers
        }
      }
      for turn in 1...10_000 {
        cell.publish(nodes[turn % 4])
        publications.add()
      }
      for await answers in group { #expect(answers > 0) }
    }
    #expect(cell.generation == 10_002)
  }
}

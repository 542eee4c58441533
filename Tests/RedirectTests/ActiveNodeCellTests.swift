import Redirect
import Testing

@Suite("The cell between discovery and the workers")
struct ActiveNodeCellTests {
  private func makeCell() -> (cell: ActiveNodeCell, clock: ManualClock) {
    let clock = ManualClock()
    return (ActiveNodeCell(status: DiscoveryStatus(source: .consul), time: clock.source), clock)
  }

  @Test("A publication that changes nothing moves no generation and wakes nobody")
  func unchanged() throws {
    let (cell, clock) = makeCell()
    let wakeups = Counter()
    cell.observe { wakeups.add() }
    let first = cell.generation
    #expect(cell.publish(try node("a")))
    let since = cell.load().since
    clock.advance(by: .seconds(5))
    #expect(!cell.publish(try node("a")))
    #expect(cell.generation == first + 1)
    #expect(cell.load().since == since)
    #expect(wakeups.value == 1)
    #expect(cell.publish(nil))
    #expect(!cell.publish(nil))
    #expect(wakeups.value == 2)
    #expect(cell.load().previous == (try node("a")))
  }

  @Test("A report changes the status and nothing else")
  func report() throws {
    let (cell, _) = makeCell()
    cell.publish(try node("a"))
    let generation = cell.generation
    cell.report(DiscoveryStatus(source: .consul, state: .silent, lastError: "refused"))
    #expect(cell.generation == generation)
    #expect(cell.load().node == (try node("a")))
    #expect(cell.load().status.lastError == "refused")
  }

  @Test("Under 10,000 publications readers see only what was published, in order")
  func concurrent() async throws {
    let (cell, _) = makeCell()
    let nodes = try (1...4).map { try node("node-\($0)", port: UInt16($0)) }
    let publications = Counter()
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<2 {
        group.addTask {
          var last: UInt64 = 0
          while publications.value < 10_000 {
            let version = cell.version
            #expect(version >= last)
            last = version
            if let found = cell.node(of: version) { #expect(nodes.contains(found)) }
          }
        }
      }
      for turn in 0..<10_000 {
        cell.publish(nodes[turn % 4])
        publications.add()
      }
    }
    #expect(cell.generation == 10_001)
  }
}

import HTTP1
import TLS
import Telemetry
import Testing

@testable import Frontend

/// Each count has a place of its own in the block: two that share one would lie in the metrics.
struct CounterLayoutTests {
  @Test func placesDoNotOverlap() {
    var places: [Int] = []
    for status in FrontendCounter.statuses {
      for method in Method.allCases {
        places.append(FrontendCounter.request(status: status, method: method))
      }
    }
    for version in [TLSVersion.tls12, .tls13] {
      places.append(FrontendCounter.handshake(version, isResumed: false))
      places.append(FrontendCounter.handshake(version, isResumed: true))
    }
    places += CloseReason.allCases.map { FrontendCounter.closed + $0.rawValue }
    places += ProxyHeaderKind.allCases.map { FrontendCounter.proxyHeaders + $0.rawValue }
    #expect(Set(places).count == places.count)
    #expect((places.max() ?? 0) < FrontendCounter.end)
    #expect(FrontendCounter.end <= CounterBlock.capacity)
  }

  @Test func listenersOfOneNameAreCountedTogether() {
    let listeners = [String](repeating: "public", count: 2000) + ["admin"]
    let places = FrontendCounter.acceptedPlaces(listeners)
    #expect(Set(places).count == 2)
    #expect(places[0] == places[1999])
    #expect(places.allSatisfy { $0 < FrontendCounter.active })
  }

  @Test func everyLabelIsItsOwn() {
    let labels = CloseReason.allCases.map(\.label)
    #expect(Set(labels).count == labels.count)
  }

  @Test func aRequestIsCountedUnderItsCodeAndMethod() throws {
    let block = CounterBlock()
    block.add(FrontendCounter.request(status: 503, method: .list))
    let writer = try LogWriter(descriptor: 2, style: .plain)
    let families = FrontendCounter.families(
      [block, CounterBlock()], listeners: ["public"], log: writer)
    let requests = try #require(families.first { $0.name == "http_requests_total" })
    let sample = try #require(requests.samples.first { $0.value == 1 })
    #expect(sample.labels.map(\.value) == ["503", "LIST"])
    #expect(requests.samples.reduce(0) { $0 + $1.value } == 1)
  }

  @Test func aStatusThatIsNotListedIsNotCountedAsAnother() {
    let places = FrontendCounter.statuses.dropLast().map {
      FrontendCounter.request(status: $0, method: .get)
    }
    #expect(!places.contains(FrontendCounter.request(status: 299, method: .get)))
    #expect(FrontendCounter.request(status: 299, method: .get) < FrontendCounter.end)
  }
}

import Sys
import Testing

@testable import Frontend

struct AdmissionTests {
  private func admission(_ change: (inout FrontendLimits) -> Void) -> Admission {
    var limits = FrontendLimits()
    limits.connectionsMax = 2
    limits.reservedConnections = 1
    limits.heldMax = 1
    change(&limits)
    return Admission(limits, wakeups: [])
  }

  @Test func theReserveIsForThoseWhoMayUseIt() {
    let admission = admission { _ in }
    #expect(admission.takePlace(mayUseReserve: false) == .common)
    #expect(admission.takePlace(mayUseReserve: false) == .common)
    #expect(admission.takePlace(mayUseReserve: false) == nil)
    #expect(admission.takePlace(mayUseReserve: true) == .reserved)
    #expect(admission.takePlace(mayUseReserve: true) == nil)
    admission.giveBack(.common)
    #expect(admission.takePlace(mayUseReserve: true) == .common)
    admission.giveBack(.reserved)
    #expect(admission.takePlace(mayUseReserve: false) == nil)
    #expect(admission.placesTaken == 2)
  }

  @Test func holdsAreLimited() {
    let admission = admission { _ in }
    #expect(admission.hasHoldLeft && admission.takeHold())
    #expect(!admission.hasHoldLeft && !admission.takeHold())
    admission.giveBackHold()
    #expect(admission.takeHold() && admission.holdsTaken == 1)
  }

  @Test func anIPv6ClientIsItsWholeNetwork() throws {
    let admission = admission { $0.connectionsPerAddressMax = 1 }
    func admit(_ text: String) throws -> Admission.Client? {
      let address = try #require(SocketAddress(numeric: text, port: 1))
      if case .counted(let client) = admission.admit(address) { return client }
      return nil
    }
    let first = try #require(try admit("2001:db8::1"))
    #expect(try admit("2001:db8::ffff:2") == nil)
    #expect(try admit("2001:db8:0:1::1") != nil)
    #expect(try admit("192.0.2.1") != nil)
    #expect(try admit("192.0.2.2") != nil)
    #expect(try admit("::ffff:192.0.2.1") == nil)
    admission.release(first)
    #expect(try admit("2001:db8::2") != nil)
    #expect(admission.connectionsCounted == 4)
  }

  @Test func withoutALimitNobodyIsCounted() {
    let admission = admission { _ in }
    guard case .uncounted = admission.admit(SocketAddress(ipv4: 1, port: 1)) else {
      Issue.record("there is no limit")
      return
    }
    #expect(admission.connectionsCounted == 0)
  }
}

import Glibc
import HTTP1
import Sys
import Testing

@testable import Frontend

struct ConnectionTableTests {
  private func connection(_ place: (slot: Int, token: UInt64)) throws -> Connection {
    let descriptor = FileDescriptor(owning: try #require(Int32?(dup(0))))
    let now = MonotonicTime.now()
    return Connection(
      slot: place.slot, token: place.token, id: 1, listenerIndex: 0,
      peer: SocketAddress(ipv4: 0x7F00_0001, port: 1), socket: StreamSocket(descriptor: descriptor),
      phase: .readingHead, limits: MessageLimits(), now: now)
  }

  @Test func anEventForAConnectionThatIsGoneFindsNobody() throws {
    var table = ConnectionTable()
    let first = try connection(table.reserve())
    table.insert(first)
    #expect(table.find(token: first.token) === first)
    table.remove(first)
    #expect(table.find(token: first.token) == nil)
    let second = try connection(table.reserve())
    table.insert(second)
    #expect(second.slot == first.slot && second.token != first.token)
    #expect(table.find(token: first.token) == nil)
    #expect(table.find(token: second.token) === second)
    #expect(table.find(slot: 99) == nil)
  }

  @Test func onlyIdleConnectionsMakeRoom() throws {
    var table = ConnectionTable()
    let fresh = try connection(table.reserve())
    table.insert(fresh)
    #expect(table.nextIdle() == nil)
    let idle = try connection(table.reserve())
    idle.requests = 1
    table.insert(idle)
    #expect(table.nextIdle() === idle)
    #expect(table.count == 2 && table.all.count == 2)
  }
}

struct LogLimiterTests {
  @Test func oneLinePassesAndTheOthersAreCounted() {
    var limiter = LogLimiter()
    let start = MonotonicTime(nanoseconds: 0)
    #expect(limiter.permit(start) == 0)
    #expect(limiter.permit(start + .seconds(1)) == nil)
    #expect(limiter.permit(start + .seconds(2)) == nil)
    #expect(limiter.permit(start + .seconds(11)) == 2)
    #expect(limiter.permit(start + .seconds(22)) == 0)
  }
}

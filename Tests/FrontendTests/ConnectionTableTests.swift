import Glibc
import HTTP1
import Sys
import Testing

@testable import Frontend

struct ConnectionTableTests {
  private func connection(
    _ reserved: (slot: Int, token: UInt64), place: Admission.Place = .common
  ) throws -> Connection {
    let descriptor = FileDescriptor(owning: try #require(Int32?(dup(0))))
    let pool = BufferPool(faults: Faults())
    return Connection(
      slot: reserved.slot, token: reserved.token, id: 1, listenerIndex: 0,
      peer: SocketAddress(ipv4: 0x7F00_0001, port: 1), place: place,
      transport: Transport(
        socket: StreamSocket(descriptor: descriptor), pool: pool, unsentBytesMax: 10),
      receive: ByteBuffer(pool: pool, bytesMax: 10), phase: .readingHead(.due),
      limits: MessageLimits(), now: .now())
  }

  @Test func anEventForAConnectionThatIsGoneFindsNobody() throws {
    let table = ConnectionTable()
    let first = try connection(table.reserve())
    table.insert(first)
    #expect(table.find(token: first.token) === first)
    let (isRemoved, isRemovedAgain) = (table.remove(first), table.remove(first))
    #expect(isRemoved && !isRemovedAgain)
    #expect(table.find(token: first.token) == nil)
    let second = try connection(table.reserve())
    table.insert(second)
    #expect(second.slot == first.slot && second.token != first.token)
    #expect(table.find(token: first.token) == nil)
    #expect(table.find(token: second.token) === second)
    #expect(table.find(slot: 99) == nil)
  }

  @Test func theLongestIdleMakesRoomFirst() throws {
    let table = ConnectionTable()
    #expect(table.longestIdle(in: nil) == nil)
    let all = try (0..<4).map { number in
      let connection = try connection(table.reserve(), place: number == 0 ? .reserved : .common)
      table.insert(connection)
      return connection
    }
    #expect(table.longestIdle(in: nil) == nil)
    for connection in all { table.move(connection, to: .idle) }
    #expect(table.longestIdle(in: nil) === all[0])
    #expect(table.longestIdle(in: .common) === all[1])
    table.move(all[1], to: .held)
    table.move(all[2], to: nil)
    #expect(table.longestIdle(in: .common) === all[3])
    table.move(all[2], to: .idle)
    #expect(table.longestIdle(in: .common) === all[3])
    _ = table.remove(all[3])
    #expect(table.longestIdle(in: .common) === all[2])
    #expect(table.all(.held).map(\.slot) == [1] && table.count(.idle) == 2)
    #expect(table.count == 3 && table.all.count == 3)
  }
}

struct SlotListsTests {
  /// Against a model that is plainly right, through moves at random.
  @Test func theListsAreWhatWasDoneToThem() {
    let lists = SlotLists()
    lists.grow(to: 20)
    var model: [SlotLists.List: [Int]] = [.idle: [], .held: []]
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<5000 {
      let slot = Int.random(in: 0..<20, using: &generator)
      let list = [SlotLists.List.idle, .held, nil].randomElement(using: &generator) ?? nil
      lists.move(slot, to: list)
      for key in model.keys { model[key]?.removeAll { $0 == slot } }
      if let list { model[list]?.append(slot) }
      #expect(lists.list(of: slot) == list)
      for (key, slots) in model {
        #expect(lists.all(key) == slots && lists.count(key) == slots.count)
        #expect(lists.oldest(key) == slots.first)
      }
    }
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

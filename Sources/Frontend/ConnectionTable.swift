/// The connections of one worker, by slot. A slot is used again, its generation tells its connections apart, so that an event
/// for a connection that is gone finds nobody.
final class ConnectionTable {
  private var connections: [Connection?] = []
  private var generations: [UInt32] = []
  private var freeSlots: [Int] = []
  private let lists = SlotLists()
  private(set) var count = 0

  /// A free slot and the token that a connection there is to be registered with.
  func reserve() -> (slot: Int, token: UInt64) {
    let slot: Int
    if let free = freeSlots.popLast() {
      slot = free
    } else {
      slot = connections.count
      connections.append(nil)
      generations.append(0)
      lists.grow(to: connections.count)
    }
    return (slot, UInt64(generations[slot]) << 32 | UInt64(slot))
  }

  /// Puts a connection into the slot reserved for it.
  func insert(_ connection: Connection) {
    connections[connection.slot] = connection
    count += 1
  }

  /// Takes a connection out; its slot's next one has another token. False where it is not in here.
  func remove(_ connection: Connection) -> Bool {
    guard connections[connection.slot] === connection else { return false }
    lists.move(connection.slot, to: nil)
    connections[connection.slot] = nil
    generations[connection.slot] = (generations[connection.slot] &+ 1) & 0x7FFF_FFFF
    freeSlots.append(connection.slot)
    count -= 1
    return true
  }

  /// The connection that an event with this token is for; nil where it is gone.
  @inline(__always)
  func find(token: UInt64) -> Connection? {
    let slot = Int(token & 0xFFFF_FFFF)
    guard slot < connections.count, generations[slot] == UInt32(token >> 32) else { return nil }
    return connections[slot]
  }

  func find(slot: Int) -> Connection? {
    slot < connections.count ? connections[slot] : nil
  }

  /// All of them, as they are now.
  var all: [Connection] { connections.compactMap { $0 } }

  // MARK: Lists

  /// Puts a connection at the young end of a list, or in none.
  func move(_ connection: Connection, to list: SlotLists.List?) {
    lists.move(connection.slot, to: list)
  }

  func count(_ list: SlotLists.List) -> Int { lists.count(list) }

  /// Those in a list, as they are now, the oldest first.
  func all(_ list: SlotLists.List) -> [Connection] {
    lists.all(list).compactMap { connections[$0] }
  }

  /// The connection that has waited longest for another request, of those in `place` where one is given; nil where
  /// none does.
  func longestIdle(in place: Admission.Place?) -> Connection? {
    var next = lists.oldest(.idle)
    while let slot = next {
      if let connection = connections[slot], place == nil || connection.place == place {
        return connection
      }
      next = lists.younger(than: slot)
    }
    return nil
  }
}

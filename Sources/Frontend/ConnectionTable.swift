/// The connections of one worker, by slot. A slot is used again, its generation tells its connections apart, so that an event
/// for a connection that is gone finds nobody.
struct ConnectionTable {
  private var connections: [Connection?] = []
  private var generations: [UInt32] = []
  private var freeSlots: [Int] = []
  /// Where the search for an idle connection goes on.
  private var hand = 0
  private(set) var count = 0

  /// A free slot and the token that a connection there is to be registered with.
  mutating func reserve() -> (slot: Int, token: UInt64) {
    let slot: Int
    if let free = freeSlots.popLast() {
      slot = free
    } else {
      slot = connections.count
      connections.append(nil)
      generations.append(0)
    }
    return (slot, UInt64(generations[slot]) << 32 | UInt64(slot))
  }

  /// Puts a connection into the slot reserved for it.
  mutating func insert(_ connection: Connection) {
    connections[connection.slot] = connection
    count += 1
  }

  /// Takes a connection out; its slot's next one has another token.
  mutating func remove(_ connection: Connection) {
    precondition(connections[connection.slot] === connection, "a connection is removed once")
    connections[connection.slot] = nil
    generations[connection.slot] = (generations[connection.slot] &+ 1) & 0x7FFF_FFFF
    freeSlots.append(connection.slot)
    count -= 1
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

  /// An idle keep-alive connection, the search going on where the last one ended; nil where there is none.
  mutating func nextIdle() -> Connection? {
    for _ in 0..<connections.count {
      hand = hand + 1 < connections.count ? hand + 1 : 0
      if let connection = connections[hand], connection.isIdle { return connection }
    }
    return nil
  }
}

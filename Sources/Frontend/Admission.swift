import Sys
import Synchronization

/// Who is let in: places for connections, places for held requests, and how many connections each client has. One for all
/// workers; every count in here is given back exactly once, by `Connection.close`.
final class Admission: Sendable {
  /// What a connection takes up.
  enum Place {
    /// One of `connectionsMax`.
    case common
    /// One of those kept for listeners that operators and health checks use.
    case reserved
  }

  private let placesMax: Int
  private let reservedMax: Int
  private let heldMax: Int
  private let connectionsPerClientMax: Int
  private let wakeups: [Wakeup]
  private let places = Atomic<Int>(0)
  private let reserved = Atomic<Int>(0)
  private let held = Atomic<Int>(0)
  private let roomIsWanted = Atomic<Bool>(false)
  /// Only used where there is a limit for each client.
  private let clients = Mutex<[Client: Int]>([:])

  /// - Parameter wakeups: one of each worker.
  init(_ limits: FrontendLimits, wakeups: [Wakeup]) {
    placesMax = limits.connectionsMax
    reservedMax = limits.reservedConnections
    heldMax = limits.heldMax
    connectionsPerClientMax = limits.connectionsPerAddressMax
    self.wakeups = wakeups
  }

  // MARK: Connections

  /// Takes a place for a connection, a reserved one first where that is permitted; nil where all are taken.
  func takePlace(mayUseReserve: Bool) -> Place? {
    if mayUseReserve, take(reserved, of: reservedMax) { return .reserved }
    return take(places, of: placesMax) ? .common : nil
  }

  func giveBack(_ place: Place) {
    switch place {
    case .common: places.wrappingSubtract(1, ordering: .relaxed)
    case .reserved: reserved.wrappingSubtract(1, ordering: .relaxed)
    }
  }

  /// Asks all workers for an idle connection's place: the one who asks has none to give.
  func askForRoom() {
    roomIsWanted.store(true, ordering: .releasing)
    for wakeup in wakeups { wakeup.signal() }
  }

  /// Whether a place is asked for; whoever is told so takes the request over.
  func takeRoomRequest() -> Bool {
    roomIsWanted.load(ordering: .relaxed)
      && roomIsWanted.exchange(false, ordering: .acquiringAndReleasing)
  }

  /// Leaves the request to the others, who are awake for it already.
  func returnRoomRequest() {
    roomIsWanted.store(true, ordering: .releasing)
  }

  // MARK: Clients

  /// Whom connections are counted for: an IPv4 address, or the /64 of an IPv6 address, since a host commonly has a
  /// whole /64 to itself (RFC 4291 §2.5.4, RFC 6177).
  struct Client: Hashable {
    private let bits: UInt64
    private let family: SocketAddress.Family

    init(_ address: SocketAddress) {
      bits = address.high
      family = address.family
    }
  }

  /// What came of counting a connection for its client.
  enum Admitted {
    /// There is no limit for each client.
    case uncounted
    case counted(Client)
    /// It has as many as it may.
    case refused
  }

  /// Counts a connection for the client at `address`.
  func admit(_ address: SocketAddress) -> Admitted {
    guard connectionsPerClientMax > 0 else { return .uncounted }
    let client = Client(address)
    return clients.withLock { counts in
      let count = counts[client, default: 0]
      guard count < connectionsPerClientMax else { return .refused }
      counts[client] = count + 1
      return .counted(client)
    }
  }

  /// Takes back what `admit` counted.
  func release(_ client: Client) {
    clients.withLock { counts in
      let left = counts[client, default: 0] - 1
      counts[client] = left > 0 ? left : nil
    }
  }

  // MARK: Held requests

  /// Whether another request may be held, as far as can be told without taking its place.
  var hasHoldLeft: Bool { held.load(ordering: .relaxed) < heldMax }

  /// Takes a place among the held requests; false where all are taken.
  func takeHold() -> Bool { take(held, of: heldMax) }

  func giveBackHold() {
    held.wrappingSubtract(1, ordering: .relaxed)
  }

  private func take(_ count: borrowing Atomic<Int>, of limit: Int) -> Bool {
    if count.wrappingAdd(1, ordering: .relaxed).newValue <= limit { return true }
    count.wrappingSubtract(1, ordering: .relaxed)
    return false
  }

  // MARK: For a simulation that looks after each step

  var placesTaken: Int {
    places.load(ordering: .relaxed) + reserved.load(ordering: .relaxed)
  }

  var holdsTaken: Int { held.load(ordering: .relaxed) }

  var connectionsCounted: Int { clients.withLock { $0.values.reduce(0, +) } }
}

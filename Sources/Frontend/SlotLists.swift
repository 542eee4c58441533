/// Two lists of slots, in the order in which they came: connections that wait for another request, and those that are held.
/// A slot is in one of them at most; putting it in, taking it out and finding the oldest cost the same for ten slots and
/// for sixty thousand.
///
/// Rings through one table, whose first entries stand for the lists themselves. Every request moves its connection twice, so
/// the table is memory of its own: a look at an array within a class would be a call into the runtime.
@safe
final class SlotLists {
  enum List: Int32, CaseIterable {
    case idle, held
  }

  private struct Entry {
    /// The neighbours in its ring: itself where it is in none.
    var older: Int32
    var younger: Int32
    var list: List?
  }

  private static let listCount = Int32(List.allCases.count)

  // Owned by this object alone: allocated in `init` and `grow`, freed in `deinit` and `grow`; all `capacity` entries are
  // initialized, and every index below comes from a slot that `grow` made room for, or from a link between such.
  private var entries: UnsafeMutablePointer<Entry>
  private var capacity: Int
  private var idleCount = 0
  private var heldCount = 0

  init() {
    capacity = 64
    unsafe entries = .allocate(capacity: 64)
    unsafe Self.initialize(entries, from: 0, to: 64)
  }

  deinit {
    unsafe entries.deallocate()
  }

  private static func initialize(
    _ entries: UnsafeMutablePointer<Entry>, from first: Int, to end: Int
  ) {
    for index in first..<end {
      let itself = Int32(index)
      unsafe (entries + index).initialize(to: Entry(older: itself, younger: itself))
    }
  }

  /// Makes room for slots below `count`.
  func grow(to count: Int) {
    let needed = count + Int(Self.listCount)
    if needed <= capacity { return }
    let larger = max(needed, 2 * capacity)
    let moved = UnsafeMutablePointer<Entry>.allocate(capacity: larger)
    unsafe moved.moveInitialize(from: entries, count: capacity)
    unsafe Self.initialize(moved, from: capacity, to: larger)
    unsafe entries.deallocate()
    unsafe entries = unsafe moved
    capacity = larger
  }

  /// The list that a slot is in.
  func list(of slot: Int) -> List? {
    unsafe entries[slot + Int(Self.listCount)].list
  }

  func count(_ list: List) -> Int {
    switch list {
    case .idle: idleCount
    case .held: heldCount
    }
  }

  /// The slot that has been in the list for longest.
  func oldest(_ list: List) -> Int? {
    slot(unsafe entries[Int(list.rawValue)].younger)
  }

  /// The slot that came next into its list.
  func younger(than slot: Int) -> Int? {
    self.slot(unsafe entries[slot + Int(Self.listCount)].younger)
  }

  /// Nil for the entry of a list, where its ring closes.
  private func slot(_ index: Int32) -> Int? {
    index < Self.listCount ? nil : Int(index - Self.listCount)
  }

  /// All slots of a list, the oldest first.
  func all(_ list: List) -> [Int] {
    var slots: [Int] = []
    slots.reserveCapacity(count(list))
    var next = oldest(list)
    while let slot = next {
      slots.append(slot)
      next = younger(than: slot)
    }
    return slots
  }

  /// Takes a slot out of the list it is in, and puts it at the young end of `list`, or of none.
  func move(_ slot: Int, to list: List?) {
    let index = slot + Int(Self.listCount)
    let itself = Int32(index)
    let entry = unsafe entries[index]
    unsafe entries[Int(entry.older)].younger = entry.younger
    unsafe entries[Int(entry.younger)].older = entry.older
    count(entry.list, -1)
    guard let list else {
      unsafe entries[index] = Entry(older: itself, younger: itself)
      return
    }
    let head = Int(list.rawValue)
    let youngest = unsafe entries[head].older
    unsafe entries[index] = Entry(older: youngest, younger: list.rawValue, list: list)
    unsafe entries[Int(youngest)].younger = itself
    unsafe entries[head].older = itself
    count(list, 1)
  }

  @inline(__always)
  private func count(_ list: List?, _ change: Int) {
    switch list {
    case .idle: idleCount += change
    case .held: heldCount += change
    case nil: break
    }
  }
}

/// Two lists of slots, in the order in which they came: connections that wait for another request, and those that are held.
/// A slot is in one of them at most; putting it in, taking it out and finding the oldest cost the same for ten slots and
/// for sixty thousand.
struct SlotLists {
  enum List: Int {
    case idle, held
  }

  private static let nobody: Int32 = -1

  private struct Entry {
    var list: List?
    var older = SlotLists.nobody
    var younger = SlotLists.nobody
  }

  private struct Ends {
    var oldest = SlotLists.nobody
    var youngest = SlotLists.nobody
    var count = 0
  }

  private var entries: [Entry] = []
  private var ends = [Ends(), Ends()]

  /// Makes room for slots below `count`.
  mutating func grow(to count: Int) {
    while entries.count < count { entries.append(Entry()) }
  }

  /// The list that a slot is in.
  func list(of slot: Int) -> List? { entries[slot].list }

  func count(_ list: List) -> Int { ends[list.rawValue].count }

  /// The slot that has been in the list for longest.
  func oldest(_ list: List) -> Int? {
    let slot = ends[list.rawValue].oldest
    return slot == Self.nobody ? nil : Int(slot)
  }

  /// The slot that came next into its list.
  func younger(than slot: Int) -> Int? {
    let next = entries[slot].younger
    return next == Self.nobody ? nil : Int(next)
  }

  /// All slots of a list, the oldest first.
  func all(_ list: List) -> [Int] {
    var slots: [Int] = []
    slots.reserveCapacity(count(list))
    var slot = ends[list.rawValue].oldest
    while slot != Self.nobody {
      slots.append(Int(slot))
      slot = entries[Int(slot)].younger
    }
    return slots
  }

  /// Takes a slot out of the list it is in, and puts it at the young end of `list`, or of none.
  mutating func move(_ slot: Int, to list: List?) {
    if let present = entries[slot].list { takeOut(slot, of: present) }
    guard let list else { return }
    let index = list.rawValue
    let youngest = ends[index].youngest
    entries[slot] = Entry(list: list, older: youngest, younger: Self.nobody)
    if youngest == Self.nobody {
      ends[index].oldest = Int32(slot)
    } else {
      entries[Int(youngest)].younger = Int32(slot)
    }
    ends[index].youngest = Int32(slot)
    ends[index].count += 1
  }

  private mutating func takeOut(_ slot: Int, of list: List) {
    let entry = entries[slot]
    if entry.older == Self.nobody {
      ends[list.rawValue].oldest = entry.younger
    } else {
      entries[Int(entry.older)].younger = entry.younger
    }
    if entry.younger == Self.nobody {
      ends[list.rawValue].youngest = entry.older
    } else {
      entries[Int(entry.younger)].older = entry.older
    }
    ends[list.rawValue].count -= 1
    entries[slot] = Entry()
  }
}

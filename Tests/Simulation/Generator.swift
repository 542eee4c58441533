/// Makes a script of a seed. Each script does few kinds of things, and some of them often (swarm
/// testing, Groce et al. 2012): what happens only to those who do nothing else is found that way.
struct Generator {
  private var random: SplitMix
  private var weights: [(Code, Int)] = []
  /// Of how many places clients are chosen.
  private var places = 1
  private var skipsOneIn = 0
  private var oddOneIn = 0
  private var errorsOneIn = 0
  private var storiesOneIn = 0
  private var targets: [UInt8] = []

  private static let usual: [(Code, Int)] = [
    (.connect, 120), (.request, 300), (.pipeline, 60), (.gate, 40), (.more, 100), (.read, 60),
    (.halfClose, 15), (.closeNotify, 15), (.close, 20), (.reset, 30), (.keyUpdate, 30),
    (.renegotiate, 8), (.raw, 10), (.publish, 40), (.lose, 40), (.advance, 60), (.reload, 8),
    (.turns, 60), (.scarce, 8), (.askForRoom, 8), (.crowd, 6), (.rotateTickets, 3), (.wake, 6),
    (.drain, 1), (.stop, 1), (.forge, 20), (.urgent, 4),
  ]

  init(seed: UInt64) {
    random = SplitMix(seed: seed)
  }

  mutating func script() -> Script {
    var settings = (0..<Settings.bytes).map { _ in random.byte() }
    // Half of the worlds have plenty of room, or the others' limits would hide what is behind them.
    if random.once(in: 2) { settings[0] = 0 }
    if random.once(in: 2) { settings[1] &= 0xF0 }
    weights = Self.usual.map { code, weight in
      (code, code == .connect ? weight : weight * random.pick([0, 0, 1, 2, 4, 12]))
    }
    places = random.pick([1, 2, 4, 8, 30])
    skipsOneIn = random.pick([0, 0, 8, 2])
    oddOneIn = random.pick([2, 4, 16, 1000])
    errorsOneIn = random.pick([3, 30, 1000])
    storiesOneIn = random.pick([0, 0, 12, 4])
    targets = (0..<random.pick([1, 2, 8])).map { _ in random.byte() & 7 }
    let count = random.pick([20, 60, 120, 240])
    var operations: [Operation] = []
    for place in 0..<places { operations.append(connect(UInt8(place))) }
    for _ in 0..<count {
      operations.append(operation())
      if storiesOneIn > 0, random.once(in: storiesOneIn) { operations += story() }
    }
    if random.once(in: 8) {
      if random.once(in: 2) { operations += halfHead(UInt8(random.below(places))) }
      operations.append(Operation(.drain))
    }
    return Script(settings: Settings(settings), operations: operations)
  }

  /// A few operations of one client that belong together, and are rarely so in a row.
  private mutating func story() -> [Operation] {
    let place = UInt8(random.below(places))
    func act(_ code: Code, _ a: UInt8, _ b: UInt8) -> Operation {
      Operation(code, client: place, a, b)
    }
    let isLate = act(.advance, 3 | 4 << 2, 0)
    switch random.below(6) {
    case 0: return halfHead(place)
    case 1: return halfHead(place) + [isLate, act(.gate, 0, 0)]
    case 2:
      // Its window is full, and then its head is late.
      return halfHead(place) + [
        act(.gate, 5, 0), act(.keyUpdate, 7, 1), act(.keyUpdate, 3, 1), isLate, act(.turns, 2, 0),
      ]
    case 3:
      // What is answered at once, and what is held, in one write.
      return [
        act(.lose, 0, 0), act(.pipeline, 0x40 | random.byte() & 7, random.byte() & 7),
        operation(), isLate, act(.publish, random.byte(), 0),
      ]
    case 4:
      // A PROXY header in pieces, which is longer than the request behind it.
      let target = random.pick([3, 4]) | random.pick([1, 2, 3]) << 3 as UInt8
      return [
        act(.close, 0, 0), act(.connect, target, 0x20), act(.more, 0, random.byte() & 31),
        act(.more, 0, random.byte() & 15), act(.gate, 0, 0), act(.turns, 3, 0),
        act(.request, 0, 0),
      ]
    default:
      return [act(.request, 0, 0), act(.halfClose, 0, 0), operation()]
    }
  }

  /// The beginning of a request, of which nothing more comes by itself.
  private mutating func halfHead(_ place: UInt8) -> [Operation] {
    [
      Operation(.gate, client: place, 1, 0), Operation(.request, client: place, 0, random.byte()),
      Operation(.more, client: place, 0x80, random.byte() & 31),
    ]
  }

  private mutating func operation() -> Operation {
    let place = UInt8(random.below(places))
    let code = pickCode()
    if code == .connect { return connect(place) }
    var operation = Operation(code, client: place, random.byte(), random.byte())
    switch code {
    case .request, .pipeline:
      operation.a = random.once(in: errorsOneIn) ? operation.a | 0x80 : operation.a & 0x7F
      if code == .pipeline, !random.once(in: 4) { operation.b &= 0x3F }
    case .gate:
      if random.once(in: 2) { operation.a = 0 }
    case .keyUpdate:
      if !random.once(in: 3) { operation.a &= 7 }
      if !random.once(in: 16) { operation.b &= 0x7F }
    case .turns:
      if !random.once(in: 4) { operation.a &= 7 }
    case .crowd:
      if !random.once(in: 4) { operation.a &= 31 }
    default: break
    }
    operation.skipsTurn = skipsOneIn > 0 && random.once(in: skipsOneIn)
    return operation
  }

  private mutating func connect(_ place: UInt8) -> Operation {
    let a = random.byte() & 0xF8 | random.pick(targets)
    var b = random.once(in: oddOneIn) ? random.byte() : random.byte() & random.byte() & 0x1E
    switch a & 7 {
    // A PROXY header in pieces; who does not take what the handshake sends.
    case 3: if random.once(in: 4) { b |= 0x20 }
    case 4: if random.once(in: 4) { b |= random.pick([0x20, 0x41]) }
    case 1, 2, 7: if random.once(in: 8) { b |= random.pick([0x40, 0x41]) }
    default: break
    }
    // A valid PROXY header, nearly always.
    let proxy: UInt8 = random.once(in: 8) ? a & 0x38 : UInt8(random.below(6)) << 3
    return Operation(.connect, client: place, a & 0xC7 | proxy, b)
  }

  private mutating func pickCode() -> Code {
    var left = random.below(weights.reduce(0) { $0 + $1.1 })
    for (code, weight) in weights {
      if left < weight { return code }
      left -= weight
    }
    return .turns
  }
}

/// What a script can make happen. The order is the encoding: add at the end, or the corpus means
/// something else.
enum Code: UInt8, CaseIterable {
  case connect, request, pipeline, gate, more, read, halfClose, closeNotify, close, reset
  case keyUpdate, renegotiate, raw, publish, lose, advance, reload, turns, scarce, askForRoom
  case crowd, rotateTickets, wake, drain, stop, forge, urgent
}

/// One step of a script: four bytes, of which any four are one.
struct Operation: Equatable {
  static let bytes = 4

  var code: Code
  /// The worker gets no turn after it: the next one happens at the same time.
  var skipsTurn = false
  /// Whose step it is; the world has a place for each number.
  var client: UInt8 = 0
  // What they mean depends on the code.
  var a: UInt8 = 0
  var b: UInt8 = 0

  init(_ code: Code, client: UInt8 = 0, _ a: UInt8 = 0, _ b: UInt8 = 0, skipsTurn: Bool = false) {
    self.code = code
    self.skipsTurn = skipsTurn
    self.client = client
    self.a = a
    self.b = b
  }

  fileprivate init(_ bytes: ArraySlice<UInt8>) {
    func byte(_ offset: Int) -> UInt8 {
      offset < bytes.count ? bytes[bytes.startIndex + offset] : 0
    }
    code = Code.allCases[Int(byte(0) & 0x7F) % Code.allCases.count]
    skipsTurn = byte(0) & 0x80 != 0
    client = byte(1)
    a = byte(2)
    b = byte(3)
  }

  var encoded: [UInt8] { [code.rawValue | (skipsTurn ? 0x80 : 0), client, a, b] }
}

/// A life of the world: how it is set up, and what happens in it. Any bytes are one.
struct Script: Equatable {
  var settings: Settings
  var operations: [Operation]

  init(settings: Settings, operations: [Operation]) {
    self.settings = settings
    self.operations = operations
  }

  init(bytes: [UInt8]) {
    settings = Settings(bytes.prefix(Settings.bytes))
    operations = []
    var rest = bytes.dropFirst(Settings.bytes)
    while !rest.isEmpty {
      operations.append(Operation(rest.prefix(Operation.bytes)))
      rest = rest.dropFirst(Operation.bytes)
    }
  }

  var bytes: [UInt8] { settings.encoded + operations.flatMap(\.encoded) }

  var hexadecimal: String { bytes.hexadecimal }
}

extension [UInt8] {
  /// Nil where a character is no hexadecimal digit.
  init?(hexadecimal text: some StringProtocol) {
    let digits = text.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
    guard digits.count == text.utf8.count, digits.count % 2 == 0 else { return nil }
    self = stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
  }

  var hexadecimal: String {
    map { byte in
      let text = String(byte, radix: 16)
      return byte < 16 ? "0" + text : text
    }.joined()
  }
}

extension Operation: CustomStringConvertible {
  var description: String {
    let who = actsOnClient ? " client \(client)" : ""
    return "\(code)\(who) a=\(a) b=\(b)\(meaning)\(skipsTurn ? ", and at the same time" : "")"
  }

  private var actsOnClient: Bool {
    switch code {
    case .connect, .request, .pipeline, .gate, .more, .read, .halfClose, .closeNotify, .close,
      .reset, .keyUpdate, .renegotiate, .raw, .forge, .urgent:
      true
    default: false
    }
  }

  private var meaning: String {
    switch code {
    case .connect: " (\(ConnectOptions(a, b)))"
    case .request: " (\(RequestKind(a)))"
    case .pipeline: " (\(pipelineCount) × \(pipelineKinds))"
    case .gate: " (\(Gate(rawValue: a)))"
    case .more: " (\(amount) bytes of \(a & 0x80 == 0 ? "the wire" : "plain text"))"
    case .read: " (\(amount) bytes)"
    case .advance: " (\(Leap(a, b)))"
    case .keyUpdate: " (\(keyUpdates)\(b & 1 == 1 ? ", each asks for one" : ""))"
    case .raw: " (\(RawKind(a)))"
    case .publish: " (node \(a % 4))"
    case .crowd: " (\(Int(a) + 1) × \(ConnectOptions(b, 0)))"
    case .forge: " (\((Int(b) + 1)) × \(ForgedKind(a)))"
    default: ""
    }
  }

  /// Bytes to send or to read: a few, or, with the high bit of `b`, many.
  var amount: Int {
    let size = Int(b & 0x7F) + 1
    return b & 0x80 == 0 ? size : size * 256
  }

  /// Few, or, with the high bit of `b`, many.
  var keyUpdates: Int { (Int(a) + 1) * (b & 0x80 == 0 ? 1 : 64) }

  /// Health, which is answered at once, before each request that may be held; or requests of one
  /// kind.
  var pipelineKinds: [RequestKind] {
    a & 0xC0 == 0x40 ? [.healthGet, RequestKind(a)] : [RequestKind(a)]
  }

  var pipelineCount: Int { b < 128 ? Int(b) + 1 : (Int(b) - 126) * 32 }
}

/// What waits for `more` and `read` operations.
struct Gate: OptionSet, CustomStringConvertible {
  let rawValue: UInt8
  static let plain = Gate(rawValue: 1)
  static let wire = Gate(rawValue: 2)
  static let reading = Gate(rawValue: 4)

  var description: String {
    let names = [(Gate.plain, "plain"), (.wire, "wire"), (.reading, "reading")]
    let held = names.filter { contains($0.0) }.map(\.1)
    return held.isEmpty ? "open" : held.joined(separator: "+") + " held"
  }
}

/// How far an `advance` sets the clock forward.
struct Leap: CustomStringConvertible {
  let milliseconds: Int64

  /// By a deadline's length, up to it or a little beyond; or by some milliseconds.
  init(_ a: UInt8, _ b: UInt8) {
    let deadlines: [Int64] = [1, 2, 3, 5, 10, 20, 30, 60, 75, 100]
    let small = Int64(b)
    switch a & 3 {
    case 0: milliseconds = small
    case 1: milliseconds = small * 40
    case 2: milliseconds = max(0, deadlines[Int(a >> 2) % deadlines.count] * 1000 - small)
    default: milliseconds = deadlines[Int(a >> 2) % deadlines.count] * 1000 + 40 + small
    }
  }

  var description: String { "\(milliseconds) ms" }
}

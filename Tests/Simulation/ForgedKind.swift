/// Records that OpenSSL would not make of itself.
enum ForgedKind: Int, CaseIterable {
  case keyUpdate, keyUpdateAsking, empty, warning, hello, badMAC, tinyData, unknownType

  init(_ byte: UInt8) { self = Self.allCases[Int(byte) % Self.allCases.count] }

  /// Messages that carry no data, as far as each of them should count.
  var isIdle: Bool { self == .keyUpdate || self == .keyUpdateAsking || self == .hello }

  func records(_ count: Int, by forge: RecordForge) -> [UInt8] {
    var bytes: [UInt8] = []
    for _ in 0..<count {
      switch self {
      case .keyUpdate: bytes += forge.keyUpdate(asks: false)
      case .keyUpdateAsking: bytes += forge.keyUpdate(asks: true)
      case .empty: bytes += forge.record(23, [])
      case .warning: bytes += forge.record(21, [1, 90])
      case .hello: bytes += forge.record(22, Self.clientHello)
      case .badMAC:
        var record = forge.record(23, [65])
        record[record.count - 1] ^= 1
        bytes += record
      case .tinyData: break
      case .unknownType: bytes += forge.record(99, [1])
      }
    }
    return bytes
  }

  /// A ClientHello of 4 and 43 bytes: one cipher suite, no extensions.
  private static let clientHello: [UInt8] =
    [1, 0, 0, 43, 3, 3] + [UInt8](repeating: 1, count: 32) + [0, 0, 4, 0xC0, 0x2B, 0, 0xFF, 1, 0]
}

/// Records that OpenSSL would not make.
enum ForgedKind: Int, CaseIterable {
  case keyUpdate, keyUpdateAsking, empty, warning, hello, badMAC, closeNotify, data

  init(_ byte: UInt8) { self = Self.allCases[Int(byte) % Self.allCases.count] }
}

import Frontend
import HTTP1
import Sys

/// How a world is set up: eight bytes, of which any eight are a world. Limits are small enough to
/// be reached.
struct Settings: Equatable {
  static let bytes = 8

  var encoded: [UInt8]

  init(_ bytes: some Collection<UInt8>) {
    encoded = Array(bytes.prefix(Self.bytes))
    while encoded.count < Self.bytes { encoded.append(0) }
  }

  private func choose<Value>(_ index: Int, _ shift: UInt8, _ values: [Value]) -> Value {
    values[Int(encoded[index] >> shift) % values.count]
  }

  var connectionsMax: Int { choose(0, 0, [2000, 40, 8, 4]) }
  var connectionsPerAddressMax: Int { choose(0, 4, [0, 0, 2, 5]) }
  var requestsPerConnectionMax: Int { choose(1, 0, [0, 0, 3, 1, 100, 65]) }
  var heldMax: Int { choose(1, 4, [1000, 3, 1, 0]) }
  var holdSeconds: Int64 { choose(2, 0, [0, 2, 5, 60]) }
  var discardBytesMax: UInt64 { choose(2, 4, [1 << 20, 4096, 100]) }
  var hasShortHeads: Bool { choose(3, 0, [false, false, false, true]) }
  var acceptBudget: Int { choose(3, 4, [32, 32, 2, 1]) }
  /// The server's send buffer; nil for the kernel's own choice.
  var sendBytes: Int32? { choose(4, 0, [nil, nil, 4608, 16_384, 65_536]) }
  /// The server's receive buffer; nil for the kernel's own choice.
  var receiveBytes: Int32? { choose(4, 4, [nil, nil, 2304, 524_288]) }
  var gatherBytesMax: Int { choose(5, 0, [64 << 10, 64 << 10, 16 << 10, 1024]) }
  var turnBytesMax: Int { choose(5, 2, [128 << 10, 128 << 10, 32 << 10, 16 << 10]) }
  var turnReadsMax: Int { choose(5, 4, [16, 16, 4, 1]) }
  var turnRequestsMax: Int { choose(5, 6, [64, 64, 5, 1]) }
  var unsentBytesMax: Int { choose(7, 2, [512 << 10, 200 << 10]) }
  var reservedConnections: Int { choose(7, 4, [16, 1, 0]) }
  /// The node that is active at the beginning; nil for none.
  var firstNode: UInt8? { choose(6, 0, [0, nil]) }
  var logsAccess: Bool { choose(6, 1, [false, false, true]) }
  var healthGraceSeconds: Int64 { choose(6, 4, [0, 5]) }
  var hasLongChain: Bool { choose(7, 0, [false, true]) }
  var requiresClientCertificates: Bool { choose(7, 1, [false, true]) }

  var limits: FrontendLimits {
    var limits = FrontendLimits()
    limits.connectionsMax = connectionsMax
    limits.connectionsPerAddressMax = connectionsPerAddressMax
    limits.requestsPerConnectionMax = requestsPerConnectionMax
    limits.heldMax = heldMax
    limits.holdTimeout = .seconds(holdSeconds)
    limits.discardBytesMax = discardBytesMax
    limits.acceptBudget = acceptBudget
    limits.gatherBytesMax = gatherBytesMax
    limits.turnBytesMax = turnBytesMax
    limits.turnReadsMax = turnReadsMax
    limits.turnRequestsMax = turnRequestsMax
    limits.unsentBytesMax = unsentBytesMax
    limits.reservedConnections = reservedConnections
    limits.backlog = 4096
    if hasShortHeads {
      limits.message.requestLineBytesMax = 200
      limits.message.headBytesMax = 500
      limits.message.fieldsMax = 8
    }
    return limits
  }
}

extension Settings: CustomStringConvertible {
  var description: String {
    "connections \(connectionsMax), per address \(connectionsPerAddressMax), requests "
      + "\(requestsPerConnectionMax), held \(heldMax) for \(holdSeconds) s, discard "
      + "\(discardBytesMax), short heads \(hasShortHeads), accept \(acceptBudget), SO_SNDBUF "
      + "\(sendBytes.map { "\($0)" } ?? "-"), SO_RCVBUF \(receiveBytes.map { "\($0)" } ?? "-"), "
      + "gather \(gatherBytesMax), turns of \(turnBytesMax) bytes, \(turnReadsMax) reads and "
      + "\(turnRequestsMax) requests, unsent \(unsentBytesMax), reserve \(reservedConnections), node "
      + "\(firstNode.map { "\($0)" } ?? "none"), grace \(healthGraceSeconds) s, long chain "
      + "\(hasLongChain), certificates \(requiresClientCertificates ? "required" : "optional")"
  }
}

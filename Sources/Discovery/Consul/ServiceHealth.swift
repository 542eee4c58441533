import FoundationEssentials

/// An instance of the service, as `/v1/health/service/<name>` lists it: what selection needs, and nothing else.
///
/// Read leniently: versions of Consul differ in what they leave out, add, or send as null.
struct ServiceEntry: Equatable, Sendable {
  var nodeName: String
  var nodeAddress: String
  var datacenter: String
  /// Addresses by their tag (`lan`, `wan`, …).
  var nodeTaggedAddresses: [String: String]

  var serviceID: String
  var serviceAddress: String
  /// As sent: -1 for a Unix socket.
  var port: Int
  var serviceTaggedAddresses: [String: TaggedAddress]
  var tags: [String]
  /// The service's, not the node's.
  var modifyIndex: UInt64
  var checks: [Check]

  struct TaggedAddress: Equatable, Sendable {
    var address: String
    var port: Int
  }

  struct Check: Equatable, Sendable {
    var id: String
    /// `passing`, `warning`, `critical`, or something newer.
    var status: String
    /// Empty for a check of the whole node.
    var serviceID: String
    var output: String
  }
}

/// Why a body is not a list of instances.
enum ServiceHealthError: Error, Equatable {
  case nestedTooDeep
  case notJSON
  case notServiceHealth
}

extension ServiceEntry {
  /// Deeper than this is no answer of Consul's, whose own depth is 6.
  static let nestingMax = 32

  /// All instances of an answer's body.
  static func list(from body: [UInt8]) throws(ServiceHealthError) -> [ServiceEntry] {
    guard isNested(body, atMost: nestingMax) else { throw .nestedTooDeep }
    do {
      return try JSONDecoder().decode([ServiceEntry].self, from: Data(body))
    } catch DecodingError.dataCorrupted {
      throw .notJSON
    } catch {
      throw .notServiceHealth
    }
  }

  /// Whether no bracket outside of strings is deeper than `limit`; says nothing about validity.
  static func isNested(_ body: [UInt8], atMost limit: Int) -> Bool {
    var depth = 0
    var isInString = false
    var isEscaped = false
    for byte in body {
      if isInString {
        if isEscaped {
          isEscaped = false
        } else if byte == UInt8(ascii: "\\") {
          isEscaped = true
        } else if byte == UInt8(ascii: "\"") {
          isInString = false
        }
        continue
      }
      switch byte {
      case UInt8(ascii: "\""): isInString = true
      case UInt8(ascii: "["), UInt8(ascii: "{"):
        depth += 1
        if depth > limit { return false }
      case UInt8(ascii: "]"), UInt8(ascii: "}"): depth -= 1
      default: break
      }
    }
    return true
  }
}

extension ServiceEntry: Decodable {
  private enum Part: String, CodingKey {
    case node = "Node", service = "Service", checks = "Checks"
  }

  private enum Field: String, CodingKey {
    case name = "Node", address = "Address", datacenter = "Datacenter"
    case taggedAddresses = "TaggedAddresses", id = "ID", port = "Port", tags = "Tags"
    case modifyIndex = "ModifyIndex"
  }

  init(from decoder: any Decoder) throws {
    let parts = try decoder.container(keyedBy: Part.self)
    let node = try parts.nestedContainer(keyedBy: Field.self, forKey: .node)
    nodeName = try node.decodeIfPresent(String.self, forKey: .name) ?? ""
    nodeAddress = try node.decodeIfPresent(String.self, forKey: .address) ?? ""
    datacenter = try node.decodeIfPresent(String.self, forKey: .datacenter) ?? ""
    nodeTaggedAddresses =
      try node.decodeIfPresent([String: String].self, forKey: .taggedAddresses) ?? [:]
    let service = try parts.nestedContainer(keyedBy: Field.self, forKey: .service)
    serviceID = try service.decodeIfPresent(String.self, forKey: .id) ?? ""
    serviceAddress = try service.decodeIfPresent(String.self, forKey: .address) ?? ""
    port = try service.decodeIfPresent(Int.self, forKey: .port) ?? 0
    serviceTaggedAddresses =
      try service.decodeIfPresent([String: TaggedAddress].self, forKey: .taggedAddresses) ?? [:]
    tags = try service.decodeIfPresent([String].self, forKey: .tags) ?? []
    modifyIndex = try service.decodeIfPresent(UInt64.self, forKey: .modifyIndex) ?? 0
    checks = try parts.decodeIfPresent([Check].self, forKey: .checks) ?? []
  }
}

extension ServiceEntry.TaggedAddress: Decodable {
  private enum Field: String, CodingKey {
    case address = "Address", port = "Port"
  }

  init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: Field.self)
    address = try fields.decodeIfPresent(String.self, forKey: .address) ?? ""
    port = try fields.decodeIfPresent(Int.self, forKey: .port) ?? 0
  }
}

extension ServiceEntry.Check: Decodable {
  private enum Field: String, CodingKey {
    case id = "CheckID", status = "Status", serviceID = "ServiceID", output = "Output"
  }

  init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: Field.self)
    id = try fields.decodeIfPresent(String.self, forKey: .id) ?? ""
    // A check without a status is one we do not understand: worse than any we do.
    status = try fields.decodeIfPresent(String.self, forKey: .status) ?? "critical"
    serviceID = try fields.decodeIfPresent(String.self, forKey: .serviceID) ?? ""
    output = try fields.decodeIfPresent(String.self, forKey: .output) ?? ""
  }
}

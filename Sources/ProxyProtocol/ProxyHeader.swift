package import Sys

/// Which PROXY headers a listener expects. There is no guessing whether one is there: a listener
/// that expects one takes nothing else, for anyone could claim any address otherwise (specification
/// §2).
package enum ProxyProtocolMode: String, Sendable, CaseIterable {
  case off, v1, v2
  /// Version 1 or 2, which cannot be mistaken for each other.
  case any
}

/// What a PROXY header says about the connection it stands before.
///
/// The specification is haproxy's doc/proxy-protocol.txt; the sections named in this module are
/// its.
package struct ProxyHeader: Equatable, Sendable {
  package enum Version: UInt8, Sendable {
    case v1 = 1
    case v2 = 2
  }

  /// On whose behalf the sender connected.
  package enum Command: String, Sendable {
    /// Its own, for a health check as a rule: the real endpoints count (§2.2).
    case local
    /// That of `source`.
    case proxy
    /// That of somebody with no address over TCP (v1 UNKNOWN, v2 UNSPEC, UDP, UNIX): the real
    /// endpoints count.
    case unknown
  }

  package var version: Version
  package var command: Command
  /// Whom the sender speaks for; nil unless `command` is `proxy`.
  package var source: SocketAddress?
  /// What `source` connected to; nil unless `command` is `proxy`.
  package var destination: SocketAddress?
  /// The endpoint of AWS PrivateLink that the client came through; letters, digits and `-`, 255 at
  /// most.
  package var vpcEndpointID: String?

  package init(
    version: Version, command: Command, source: SocketAddress? = nil,
    destination: SocketAddress? = nil, vpcEndpointID: String? = nil
  ) {
    self.version = version
    self.command = command
    self.source = source
    self.destination = destination
    self.vpcEndpointID = vpcEndpointID
  }
}

/// Why a connection's first bytes are no PROXY header as it is expected; close, and answer nothing.
///
/// The raw value is the stable label that counters carry.
package enum ProxyHeaderError: String, Error, Sendable, CaseIterable {
  case looksLikeTLS = "looks_like_tls"
  case looksLikeHTTP = "looks_like_http"
  case notProxyHeader = "not_proxy_header"
  case wrongVersion = "wrong_version"
  case tooLong = "too_long"

  // Version 1
  case malformedLine = "malformed_line"
  case invalidAddress = "invalid_address"
  case invalidPort = "invalid_port"

  // Version 2
  case unknownCommand = "unknown_command"
  case unknownFamily = "unknown_family"
  case shortAddresses = "short_addresses"
  case malformedTLV = "malformed_tlv"
  case wrongChecksum = "wrong_checksum"
  case invalidEndpointID = "invalid_endpoint_id"

  /// The stable name of this case in counters, in snake_case.
  package var label: String { rawValue }

  /// What an operator reads in the log.
  package var message: StaticString {
    switch self {
    case .looksLikeTLS: "no PROXY header: the connection begins with TLS"
    case .looksLikeHTTP: "no PROXY header: the connection begins with HTTP"
    case .notProxyHeader: "no PROXY header: the connection begins with something else"
    case .wrongVersion: "a PROXY header of a version that is not enabled"
    case .tooLong: "the PROXY header is too long"
    case .malformedLine: "the PROXY line is malformed"
    case .invalidAddress: "the PROXY line has an invalid address"
    case .invalidPort: "the PROXY line has an invalid port"
    case .unknownCommand: "the PROXY header has an unknown version or command"
    case .unknownFamily: "the PROXY header has an unknown address family or protocol"
    case .shortAddresses: "the PROXY header is too short for its addresses"
    case .malformedTLV: "the PROXY header has a malformed TLV"
    case .wrongChecksum: "the PROXY header has a wrong checksum"
    case .invalidEndpointID: "the PROXY header has an invalid VPC endpoint id"
    }
  }
}

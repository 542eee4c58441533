package enum ProxyProtocolMode: String, Sendable { case off, v1, v2, any }
package struct ProxyAddress: Sendable { package enum Family: Sendable { case ipv4, ipv6 }
  package var family: Family; package var bytes: InlineArray<16, UInt8>; package var port: UInt16 }
package struct ProxyHeader: Sendable { package enum Version: Sendable { case v1, v2 }
  package enum Command: Sendable { case local, proxy, unknown }
  package var version: Version; package var command: Command; package var source: ProxyAddress?; package var destination: ProxyAddress?; package var vpcEndpointID: String? }
package enum ProxyHeaderError: String, CaseIterable, Error { case tooLong; package var label: String { rawValue }; package var message: String { rawValue } }
package enum ProxyHeaderResult: Sendable { case incomplete(needs: Int), complete(ProxyHeader, consumed: Int), failed(ProxyHeaderError) }
package struct ProxyHeaderParser { package init(mode: ProxyProtocolMode) {}
  package func parse(_ bytes: Span<UInt8>) -> ProxyHeaderResult { .failed(.tooLong) } }

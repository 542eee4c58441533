import GuardPage
import ProxyProtocol
import Testing

private let lines: [(String, ProxyHeaderError)] = [
  ("PROXY\r\n", .malformedLine),
  ("PROXY \r\n", .malformedLine),
  ("PROXYTCP4", .malformedLine),
  ("PROXY  TCP4", .malformedLine),
  ("PROXY tcp4", .malformedLine),
  ("PROXY TCP5", .malformedLine),
  ("PROXY UDP4", .malformedLine),
  ("PROXY TCP4\r\n", .malformedLine),
  ("PROXY TCP4 \r\n", .malformedLine),
  ("PROXY UNKNOWNX\r\n", .malformedLine),
  ("PROXY UNKNOWN\n", .malformedLine),
  ("PROXY UNKNOWN\rX", .malformedLine),
  ("PROXY UNKNOWN x\n", .malformedLine),
  ("PROXY UNKNOWN x\r\r\n", .malformedLine),
  ("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n", .malformedLine),
  ("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\rX", .malformedLine),
  ("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\u{0}", .malformedLine),
  ("PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n", .malformedLine),
  ("PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n", .malformedLine),
  ("PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", .malformedLine),
  ("PROXY TCP4 192.0.2.1 192.0.2.2\r\n", .malformedLine),
  ("PROXY TCP4 192.0.2.1\t192.0.2.2 1 2\r\n", .malformedLine),
  ("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n", .invalidPort),
  ("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", .invalidPort),
  ("PROXY TCP4 192.0.2.1 192.0.2.2 1 \r\n", .invalidPort),
  ("PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", .invalidPort),
  ("PROXY TCP4 192.0.2.1 192.0.2.2 1 00\r\n", .invalidPort),
  ("PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n", .invalidPort),
  ("PROXY TCP4 192.0.2.1 192.0.2.2 100000 2\r\n", .invalidPort),
  ("PROXY TCP4 192.0.2.1 192.0.2.2 a 2\r\n", .invalidPort),
  ("PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n", .invalidAddress),
  ("PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n", .invalidAddress),
  ("PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n", .invalidAddress),
  ("PROXY TCP4 192.0.2.1.1 192.0.2.2 1 2\r\n", .invalidAddress),
  ("PROXY TCP4 192.0.2.1 192.0.2. 1 2\r\n", .invalidAddress),
  ("PROXY TCP4 c0000201 192.0.2.2 1 2\r\n", .invalidAddress),
  ("PROXY TCP4 ::1 192.0.2.2 1 2\r\n", .invalidAddress),
  ("PROXY TCP4 ::ffff:192.0.2.1 192.0.2.2 1 2\r\n", .invalidAddress),
  ("PROXY TCP6 192.0.2.1 ::1 1 2\r\n", .invalidAddress),
  ("PROXY TCP6 ::1 192.0.2.1 1 2\r\n", .invalidAddress),
  ("PROXY TCP6 ::1::2 ::1 1 2\r\n", .invalidAddress),
  ("PROXY TCP6 12345:: ::1 1 2\r\n", .invalidAddress),
  ("PROXY TCP6 1:2:3:4:5:6:7 ::1 1 2\r\n", .invalidAddress),
  ("PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2\r\n", .invalidAddress),
  ("PROXY TCP6 [::1] ::1 1 2\r\n", .malformedLine),
  ("PROXY TCP6 fe80::1%1 ::1 1 2\r\n", .malformedLine),
]

@Test("A line that is not to the letter is refused", arguments: lines)
private func invalidLine(_ text: String, _ error: ProxyHeaderError) {
  refuses(bytes(text), error, modes: [.v1, .any])
}

private let headers: [([UInt8], ProxyHeaderError)] = [
  (binaryHeader(0x11, 0x11, tcp4Addresses), .unknownCommand),
  (binaryHeader(0x31, 0x11, tcp4Addresses), .unknownCommand),
  (binaryHeader(0x22, 0x11, tcp4Addresses), .unknownCommand),
  (binaryHeader(0x2F, 0x11, tcp4Addresses), .unknownCommand),
  (binaryHeader(0x21, 0x13, tcp4Addresses), .unknownFamily),
  (binaryHeader(0x21, 0x03, []), .unknownFamily),
  (binaryHeader(0x21, 0x40, []), .unknownFamily),
  (binaryHeader(0x21, 0x41, tcp4Addresses), .unknownFamily),
  (binaryHeader(0x21, 0xFF, tcp4Addresses), .unknownFamily),
  (binaryHeader(0x21, 0x11, []), .shortAddresses),
  (binaryHeader(0x21, 0x11, tcp4Addresses, length: 11), .shortAddresses),
  (binaryHeader(0x21, 0x12, tcp4Addresses, length: 11), .shortAddresses),
  (binaryHeader(0x21, 0x21, tcp6Addresses, length: 35), .shortAddresses),
  (binaryHeader(0x21, 0x31, tcp6Addresses, length: 215), .shortAddresses),
  (binaryHeader(0x21, 0x11, [], length: 4081), .tooLong),
  (binaryHeader(0x21, 0x00, [], length: 0xFFFF), .tooLong),
  (binaryHeader(0x20, 0x00, [], length: 4081), .tooLong),
  (binaryHeader(0x21, 0x11, tcp4Addresses + [4]), .malformedTLV),
  (binaryHeader(0x21, 0x11, tcp4Addresses + [4, 0]), .malformedTLV),
  (binaryHeader(0x21, 0x11, tcp4Addresses + [4, 0, 1]), .malformedTLV),
  (binaryHeader(0x21, 0x11, tcp4Addresses + [4, 0xFF, 0xFF, 0]), .malformedTLV),
  (binaryHeader(0x21, 0x11, tcp4Addresses + tlv(4, [1]) + [4, 1, 0, 0]), .malformedTLV),
  (binaryHeader(0x21, 0x12, tcp4Addresses + [4, 0, 1]), .malformedTLV),
  (binaryHeader(0x21, 0x11, tcp4Addresses + tlv(3, [0, 0, 0])), .malformedTLV),
  (binaryHeader(0x21, 0x11, tcp4Addresses + tlv(3, [0, 0, 0, 0, 0])), .malformedTLV),
  (binaryHeader(0x21, 0x11, tcp4Addresses + tlv(3, [0, 0, 0, 0])), .wrongChecksum),
  (checkedHeader(error: 1), .wrongChecksum),
  (checkedHeader(error: 0x8000_0000), .wrongChecksum),
  (checkedHeader(after: tlv(3, [0, 0, 0, 0])), .malformedTLV),
  (binaryHeader(0x21, 0x11, tcp4Addresses + awsEndpoint("")), .invalidEndpointID),
  (binaryHeader(0x21, 0x11, tcp4Addresses + awsEndpoint("vpce_1")), .invalidEndpointID),
  (binaryHeader(0x21, 0x11, tcp4Addresses + awsEndpoint("vpce 1")), .invalidEndpointID),
  (binaryHeader(0x21, 0x11, tcp4Addresses + awsEndpoint("vpce\u{0}")), .invalidEndpointID),
  (binaryHeader(0x21, 0x11, tcp4Addresses + awsEndpoint("vpce\u{e9}")), .invalidEndpointID),
  (
    binaryHeader(
      0x21, 0x11, tcp4Addresses + awsEndpoint(String(repeating: "a", count: 256))),
    .invalidEndpointID
  ),
  (
    binaryHeader(0x21, 0x11, tcp4Addresses + awsEndpoint("a") + awsEndpoint("a")), .malformedTLV
  ),
]

@Test("A header of version 2 that is not to the letter is refused", arguments: headers)
private func invalidHeader(_ input: [UInt8], _ error: ProxyHeaderError) {
  refuses(input, error, modes: [.v2, .any])
}

private let strangers: [(String, ProxyHeaderError)] = [
  ("\u{16}\u{3}\u{1}\u{0}\u{5}", .looksLikeTLS),
  ("GET / HTTP/1.1\r\n", .looksLikeHTTP),
  ("POST / HTTP/1.1\r\n", .looksLikeHTTP),
  ("PUT / HTTP/1.1\r\n", .looksLikeHTTP),
  ("PROPFIND / HTTP/1.1\r\n", .looksLikeHTTP),
  ("LIST / HTTP/1.1\r\n", .looksLikeHTTP),
  ("proxy TCP4 ", .notProxyHeader),
  (" PROXY", .notProxyHeader),
  ("\u{0}", .notProxyHeader),
  ("\n", .notProxyHeader),
  ("\r\nGET /", .notProxyHeader),
  ("\r\n\r\n\u{0}\r\nQUIT\r", .notProxyHeader),
]

@Test("What is no PROXY header is called by its name, in every mode", arguments: strangers)
private func stranger(_ text: String, _ error: ProxyHeaderError) {
  refuses(bytes(text), error, modes: [.v1, .v2, .any])
}

@Test("A header of the other version is refused as such, and not before it can be told")
func otherVersion() {
  let line = bytes("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n")
  let header = binaryHeader(0x21, 0x11, tcp4Addresses)
  refuses(line, .wrongVersion, modes: [.v2])
  refuses(header, .wrongVersion, modes: [.v1])
  #expect(parse(Array(line.prefix(4)), mode: .v2) == .incomplete(needs: 16))
  #expect(parse(Array(header.prefix(11)), mode: .v1) == .incomplete(needs: 15))
}

@Test("A line ends within 107 bytes")
func lineLimit() {
  func line(_ count: Int) -> [UInt8] {
    bytes("PROXY UNKNOWN " + String(repeating: "x", count: count - 16) + "\r\n")
  }
  let header = ProxyHeader(version: .v1, command: .unknown)
  #expect(parse(line(107)) == .complete(header, consumed: 107))
  refuses(line(108), .tooLong, modes: [.v1, .any])
  refuses(line(200), .tooLong, modes: [.v1, .any])
  #expect(parse(Array(line(200).prefix(106))) == .incomplete(needs: 107))
}

@Test("A header of version 2 has 4096 bytes at most")
func headerLimit() {
  let padding = 4096 - 16 - tcp4Addresses.count - 3
  let longest = binaryHeader(
    0x21, 0x11, tcp4Addresses + tlv(4, [UInt8](repeating: 0, count: padding)))
  #expect(longest.count == ProxyHeaderParser.headerBytesMax)
  #expect(parse(longest) == .complete(tcp4(), consumed: 4096))
  #expect(parse(Array(longest.prefix(16))) == .incomplete(needs: 4096))
}

@Test("The longest id of a VPC endpoint passes")
func longestEndpointID() {
  let id = String(repeating: "a", count: 255)
  let header = binaryHeader(0x21, 0x11, tcp4Addresses + awsEndpoint(id))
  #expect(parse(header) == .complete(tcp4(vpcEndpointID: id), consumed: header.count))
}

@Test("The checksum is CRC32C, and any changed bit breaks it")
func checksum() {
  #expect(referenceCRC32C(bytes("123456789")) == 0xE306_9283)
  let header = checkedHeader(before: tlv(4, [7]), after: tlv(4, [9]))
  #expect(parse(header) == .complete(tcp4(), consumed: header.count))
  for index in [16, 20, 25, 31, header.count - 1] {
    for bit in 0..<8 {
      var changed = header
      changed[index] ^= 1 << bit
      #expect(parse(changed) == .failed(.wrongChecksum))
    }
  }
}

@Test("Labels are in snake_case and messages are not empty", arguments: ProxyHeaderError.allCases)
func errorTexts(_ error: ProxyHeaderError) {
  #expect(!error.label.isEmpty)
  #expect(error.label.utf8.allSatisfy { (0x61...0x7A).contains($0) || $0 == 0x5F || $0 == 0x32 })
  #expect(!error.message.description.isEmpty)
}

/// In each of `modes`, `input` fails so; each prefix fails likewise or is incomplete, and stays
/// failed.
private func refuses(_ input: [UInt8], _ error: ProxyHeaderError, modes: [ProxyProtocolMode]) {
  for mode in modes {
    #expect(parse(input, mode: mode) == .failed(error))
    var hasFailed = false
    for end in 0...input.count {
      let part = Array(input.prefix(end))
      let result = withGuardPage(behind: part) { ProxyHeaderParser(mode: mode)?.parse($0) }
      switch result {
      case .incomplete(let needs):
        #expect(needs > end)
        #expect(!hasFailed)
      case .failed(let early):
        #expect(early == error)
        hasFailed = true
      default:
        Issue.record("accepted at \(end)")
      }
    }
    #expect(hasFailed)
  }
}

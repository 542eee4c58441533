import HTTP1
import Testing

private func result(ofHost host: String) -> ParseResult {
  parse(bytes("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n"))
}

@Test(
  "Valid hosts",
  arguments: [
    "a", "vault.example", "vault.example:", "a:0", "a:65535", "a:08200", "192.0.2.1", "1.2.3.4.5",
    "xn--bcher-kva.example", "a_b", "a%2Fb", "a~!$&'()*+,;=b", "[::]", "[::1]:8200",
    "[1:2:3:4:5:6:7:8]", "[1::8]", "[1:2:3:4:5:6:7::]", "[::2:3:4:5:6:7:8]", "[fe80::ABCD:ef01]",
    "[::ffff:192.0.2.1]", "[1:2:3:4:5:6:0.0.0.0]", "[64:ff9b::255.255.255.255]:1",
  ])
func validHosts(_ host: String) {
  guard case .complete(let head) = result(ofHost: host) else {
    Issue.record("refused")
    return
  }
  #expect(head.host?.count == host.utf8.count)
}

@Test(
  "Invalid hosts",
  arguments: [
    ":80", "a:65536", "a:123456", "a:8x", "a:80:80", "a:-1", "a b", "a/b", "a?b", "a#b", "a@b",
    "a\\b", "a\"b", "a<b", "a%2", "a%", "a%zz", "a%2g", "\u{e9}", "[", "[]", "[::1", "[::1]a",
    "[::1]:x", "[::1]]", "::1", "[:]", "[:::]", "[1]", "[1:2:3:4:5:6:7]", "[1:2:3:4:5:6:7:8:9]",
    "[1:2:3:4:5:6:7:8:]", "[:1:2:3:4:5:6:7:8]", "[1::2::3]", "[1:2:3:4::5:6:7:8]", "[12345::]",
    "[g::]", "[1:]", "[fe80::1%25eth0]", "[v1.x]", "[1.2.3.4]", "[::1.2.3]", "[::1.2.3.4.5]",
    "[::1.2.3.256]", "[::01.2.3.4]", "[::1..3.4]", "[::1.2.3.4:5]", "[1:2:3:4:5:6:7:1.2.3.4]",
    "[::1.2.3.]", "[::a.2.3.4]",
  ])
func invalidHosts(_ host: String) {
  #expect(result(ofHost: host) == .failed(.invalidHost))
}

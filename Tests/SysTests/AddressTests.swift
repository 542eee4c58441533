import Sys
import Testing

struct AddressTests {
  @Test(arguments: [
    ("192.0.2.1", "192.0.2.1:80"), ("::", "[::]:80"), ("2001:DB8::0:1", "[2001:db8::1]:80"),
    ("[2001:db8::1]", "[2001:db8::1]:80"), ("::ffff:10.1.2.3", "10.1.2.3:80"),
    ("0.0.0.0", "0.0.0.0:80"),
  ])
  func addressesAreReadAndWritten(text: String, written: String) throws {
    let address = try #require(SocketAddress(numeric: text, port: 80))
    #expect(address.description == written)
  }

  @Test(arguments: [
    "", "localhost", "1.2.3", "1.2.3.4.5", "1.2.3.256", "::1%lo", "[::1", "1.2.3.4 ",
  ])
  func whatIsNoAddressIsRefused(text: String) {
    #expect(SocketAddress(numeric: text, port: 80) == nil)
  }

  @Test(arguments: [
    ("127.0.0.1", true), ("127.255.0.9", true), ("::1", true), ("::ffff:127.0.0.1", true),
    ("128.0.0.1", false), ("::2", false), ("0.0.0.0", false),
  ])
  func loopbackIsKnown(text: String, isLoopback: Bool) throws {
    #expect(try #require(SocketAddress(numeric: text, port: 1)).isLoopback == isLoopback)
  }

  @Test(arguments: [
    ("10.0.0.0/8", "10.255.1.2", true), ("10.0.0.0/8", "11.0.0.0", false),
    ("0.0.0.0/0", "203.0.113.9", true), ("0.0.0.0/0", "::1", false),
    ("192.0.2.7", "192.0.2.7", true), ("192.0.2.7", "192.0.2.8", false),
    ("2001:db8::/32", "2001:db8:ffff::1", true), ("2001:db8::/32", "2001:db9::1", false),
    ("2001:db8::/65", "2001:db8:0:0:7fff::1", true),
    ("2001:db8::/65", "2001:db8:0:0:8000::1", false),
    ("::1/128", "::1", true), ("::/0", "2001:db8::1", true),
    ("172.16.0.0/12", "::ffff:172.31.0.1", true),
  ])
  func blocksContainTheirAddresses(block: String, address: String, isInside: Bool) throws {
    let block = try #require(AddressBlock(block))
    let address = try #require(SocketAddress(numeric: address, port: 5))
    #expect(block.contains(address) == isInside)
  }

  @Test(arguments: ["", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/+8", "::/129", "x/8"])
  func whatIsNoBlockIsRefused(text: String) {
    #expect(AddressBlock(text) == nil)
  }
}

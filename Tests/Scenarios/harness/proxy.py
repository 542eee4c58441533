"""PROXY headers, as haproxy's doc/proxy-protocol.txt describes them."""

import socket
import struct

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL, PROXY = 0x20, 0x21
UNSPEC, TCP4, TCP6 = 0x00, 0x11, 0x21


def v1(source: str = "192.0.2.7", port: int = 5678) -> bytes:
    family = "TCP6" if ":" in source else "TCP4"
    destination = "2001:db8::1" if ":" in source else "198.51.100.1"
    return f"PROXY {family} {source} {destination} {port} 443\r\n".encode()


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def v2(
    command: int = PROXY, family: int = TCP4, source: str = "192.0.2.7", port: int = 5678,
    tlvs: bytes = b"", checksum: bool | int = False,
) -> bytes:
    """A header with the addresses of its family; `checksum` adds a CRC32C, wrong by as much as its number."""
    block = b""
    if family == TCP4:
        block = socket.inet_aton(source) + socket.inet_aton("198.51.100.1")
    elif family == TCP6:
        block = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, "::1")
    if block:
        block += struct.pack("!HH", port, 443)
    block += tlvs
    if checksum is False:
        return SIGNATURE + struct.pack("!BBH", command, family, len(block)) + block
    head = SIGNATURE + struct.pack("!BBH", command, family, len(block) + 7) + block
    error = 0 if checksum is True else checksum
    crc = crc32c(head + tlv(3, bytes(4))) + error
    return head + tlv(3, struct.pack("!I", crc & 0xFFFFFFFF))


def crc32c(data: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF

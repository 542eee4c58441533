"""A ClientHello with lists that no client has is refused before OpenSSL keeps them, or walks them, at everybody's cost."""

import os
import socket
import struct
import subprocess

import pytest

from harness.http import Connection
from harness.metrics import scrape, wait_for_count


def counted(body: bytes) -> bytes:
    return struct.pack("!H", len(body)) + body


def extension(number: int, body: bytes) -> bytes:
    return struct.pack("!H", number) + counted(body)


def words(*numbers: int) -> bytes:
    return b"".join(struct.pack("!H", number) for number in numbers)


def share(group: int, size: int) -> bytes:
    return struct.pack("!H", group) + counted(os.urandom(size))


X25519, UNKNOWN = 0x001D, 0x4A4A
SHARES = share(X25519, 32)


def hello(
    ciphers=(0x1301, 0xC02B), groups=(X25519, 0x0017), algorithms=(0x0403, 0x0804, 0x0401),
    shares=SHARES, more=b"",
) -> bytes:
    """A ClientHello of TLS 1.3, in records of 16 KiB."""
    extensions = (
        extension(0x2B, b"\x02\x03\x04") + extension(10, counted(words(*groups)))
        + extension(13, counted(words(*algorithms))) + extension(51, counted(shares)) + more)
    body = (
        b"\x03\x03" + os.urandom(32) + b"\0" + counted(words(*ciphers)) + b"\x01\0"
        + counted(extensions))
    message = b"\x01" + struct.pack("!I", len(body))[1:] + body
    records = [message[at:at + 16384] for at in range(0, len(message), 16384)]
    return b"".join(b"\x16\x03\x01" + counted(record) for record in records)


EMPTY_NAME = counted(b"\x30\0")
LONG_NAME = b"\x31\x09\x30\x07\x06\x03\x55\x04\x03\x0c\x00" * 3000

TOO_MUCH = {
    "key shares for many groups": hello(
        groups=[UNKNOWN] * 4000 + [X25519], shares=share(0x1A1A, 1) * 3000),
    "groups": hello(groups=[X25519] * 100),
    "key shares": hello(shares=SHARES * 9),
    "signature algorithms": hello(algorithms=[0x0403] * 200),
    "cipher suites": hello(ciphers=[0x1301] * 600),
    "names of CAs": hello(more=extension(47, counted(EMPTY_NAME * 257))),
    "a long name of a CA": hello(
        more=extension(47, counted(counted(b"\x30\x82" + counted(LONG_NAME))))),
    "protocols": hello(more=extension(16, counted(b"\x01a" * 1000))),
    "padding": hello(more=extension(21, bytes(60_000))),
}
ENOUGH = {
    "nothing unusual": hello(),
    "groups and shares": hello(
        groups=[X25519, 0x0017, 0x0018, *range(0x0100, 0x0110)], shares=SHARES + share(UNKNOWN, 1)),
    "a post-quantum share": hello(groups=[0x11EC, X25519], shares=share(0x11EC, 1216) + SHARES),
    "every cipher suite of a scanner": hello(ciphers=[0x1301, *range(0x0001, 0x0180)]),
    "names of CAs": hello(more=extension(47, counted(EMPTY_NAME * 200))),
    "padding": hello(more=extension(21, bytes(16_000))),
}


@pytest.mark.parametrize("what", TOO_MUCH)
def test_too_much_is_refused(serving, dial, what):
    run = serving("--workers", "1")
    with socket.create_connection(("127.0.0.1", run.port), timeout=60) as client:
        try:
            client.sendall(TOO_MUCH[what])
            # An alert, or the end where it came to more than is read.
            answer = client.recv(100)
        except ConnectionError:
            answer = b""
        assert answer[:1] in (b"", b"\x15")
    wait_for_count(run, "tls_handshake_failures_total", 1, reason="client_hello_too_large")
    with dial(run) as other:
        assert other.request("GET", "/v1/x").status == 307


@pytest.mark.parametrize("what", ENOUGH)
def test_what_a_client_may_send_is_answered(serving, what):
    run = serving("--workers", "1")
    with socket.create_connection(("127.0.0.1", run.port), timeout=60) as client:
        client.sendall(ENOUGH[what])
        assert client.recv(100)[:3] == b"\x16\x03\x03"


def test_a_client_that_names_its_cas_is_served(serving, certificates):
    run = serving()
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{run.port}", "-CAfile", certificates.ca,
         "-requestCAfile", certificates.ca, "-quiet", "-ign_eof"],
        input=b"GET /v1/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", capture_output=True,
        timeout=60)
    assert b"307 Temporary Redirect" in done.stdout
    assert scrape(run)("tls_handshake_failures_total") == 0

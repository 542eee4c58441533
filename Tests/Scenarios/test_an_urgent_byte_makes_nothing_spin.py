"""An urgent byte (MSG_OOB) makes no worker spin: in a PROXY header it is a fault, in a request a byte like any other."""

import socket
import struct

import pytest

from harness.http import Connection
from harness.metrics import wait_for_count

HEADERS = {
    "v1": (b"PROX", b"Y", b" TCP4 192.0.2.1 198.51.100.1 1 2" + b" " * 40),
    "v2": (
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack("!H", 400), b"\1", b"\1" * 600),
}


@pytest.mark.parametrize("version", HEADERS)
def test_in_a_proxy_header(serving, version):
    run = serving(
        "--proxy-protocol", "any", "--proxy-protocol-from", "127.0.0.0/8",
        "--proxy-header-timeout", "60", tls=False)
    start, urgent, rest = HEADERS[version]
    with socket.create_connection(("127.0.0.1", run.port), timeout=60) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.send(start)
        client.send(urgent, socket.MSG_OOB)
        try:
            client.send(rest)
            assert client.recv(1) == b""
        except ConnectionError:
            pass  # It closed with our bytes unread.
    wait_for_count(run, "connections_closed_total", 1, reason="proxy_header")


def test_in_a_request(serving):
    run = serving(tls=False)
    with Connection(run.port, seconds=60) as client:
        client.send(b"GET /v1/")
        client.socket.send(b"u", socket.MSG_OOB)
        client.send(b" HTTP/1.1\r\nHost: x\r\n\r\n")
        response = client.response()
        assert response.status == 307 and response["Location"].endswith("/v1/u")

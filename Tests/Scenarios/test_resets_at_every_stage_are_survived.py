"""A client that resets its connection, wherever it stands: counted, and nobody else notices."""

import socket
import ssl
import struct

import pytest

from harness.http import Connection
from harness.metrics import scrape, wait_for_count
from harness.proxy import v2

TIMES = 20


def reset(connection):
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.socket.close()


def settled(run):
    """Waits until the scrape's own connection is the only one."""
    return wait_for_count(run, "connections_active", 1)


STAGES = {
    "before a byte": b"",
    "in a head": b"GET / HTTP/1.1\r\nHo",
    "in a body": b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nhalf",
    "in a chunk": b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n100\r\nx",
    "after a request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "after many requests": 2000 * b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "after a refusal": b"GET / HTTP/4.0\r\n\r\n",
    "behind a body too large": b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\nx",
}


@pytest.mark.parametrize("stage", STAGES)
def test_reset(serving_once, dial, stage):
    before = scrape(serving_once)("connections_accepted_total", listener="public")
    for _ in range(TIMES):
        connection = dial(serving_once)
        connection.send(STAGES[stage])
        reset(connection)
    wait_for_count(
        serving_once, "connections_accepted_total", before + TIMES, listener="public")
    settled(serving_once)
    with dial(serving_once) as connection:
        assert connection.request("GET", "/").status == 307


@pytest.mark.parametrize("count", [1, 5, 6, 100, 200])
def test_reset_in_a_handshake(serving, certificates, count):
    run = serving()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = certificates.client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello = outgoing.read()
    for _ in range(TIMES):
        connection = Connection(run.port)
        connection.send(hello[:count])
        reset(connection)
    wait_for_count(run, "connections_accepted_total", TIMES, listener="public")
    settled(run)


def test_reset_in_a_proxy_header(serving, transport):
    run = serving(
        "--proxy-protocol", "v2", "--proxy-protocol-from", "127.0.0.1", tls=transport == "tls")
    header = v2()
    for count in range(len(header) + 1):
        connection = Connection(run.port)
        connection.send(header[:count])
        reset(connection)
    wait_for_count(run, "connections_accepted_total", len(header) + 1, listener="public")
    settled(run)

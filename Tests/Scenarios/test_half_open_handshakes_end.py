"""Handshakes begun and left: ended by their deadline, while others are made."""

import ssl

import pytest

from harness.http import Connection
from harness.metrics import wait_for_count

COUNT = 200


@pytest.mark.parametrize("part", [0, 1, 5, 60, None], ids=lambda part: f"{part}-bytes")
def test_left_open(serving, dial, certificates, part):
    outgoing = ssl.MemoryBIO()
    client = certificates.client_context().wrap_bio(
        ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello = outgoing.read()[:part]

    run = serving("--handshake-timeout", "4")
    half = [Connection(run.port, seconds=60) for _ in range(COUNT)]
    for connection in half:
        if hello:
            connection.send(hello)
    with dial(run) as other:
        assert other.request("GET", "/").status == 307
        wait_for_count(run, "connections_closed_total", COUNT, reason="handshake_timeout")
        assert other.request("GET", "/").status == 307
    for connection in half:
        connection.read_to_end()
        connection.socket.close()

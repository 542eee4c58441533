"""25,000 connections of every fate (REDIRECTOR_TEST_CONNECTIONS=100000 for more): no descriptor and no memory stays."""

import os
import random
import socket
import struct
import threading

import pytest

from harness.polling import wait_until
from harness.metrics import wait_for_count

COUNT = int(os.environ.get("REDIRECTOR_TEST_CONNECTIONS", "25000"))
THREADS = 8
GET = b"GET /v1/x HTTP/1.1\r\nHost: x\r\n\r\n"
RESET = struct.pack("ii", 1, 0)

# What is sent, how often of a hundred, and whether an answer is read.
FATES = [
    (b"", 10, False), (GET, 20, True), (GET, 5, False), (20 * GET, 5, True), (GET[:20], 10, False),
    (b"\x16\x03\x01", 5, False), (b"garbage\r\n\r\n", 10, True),
    (b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n" + 20_000 * b"x", 5, True),
    (b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n" + 100 * b"x", 5, True),
    (b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", 5, True),
    (b"PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n", 5, True),
    (b"GET /" + 30_000 * b"x", 5, True),
    (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 10, True),
]


def meet(port, tls, number):
    """One connection, to one of its fates, ended by a close or by a reset."""
    chance = random.Random(number)
    [(data, _, reads)] = chance.choices(FATES, [weight for _, weight, _ in FATES])
    # Every thousand from another address, so that no port is used again too soon.
    here = (f"127.0.1.{number // 1000 % 250 + 1}", 0)
    connection = socket.create_connection(("127.0.0.1", port), timeout=60, source_address=here)
    try:
        if tls and number % 4:  # One in four speaks plain HTTP to the TLS port.
            connection = tls.wrap_socket(connection, server_hostname="localhost")
        if data:
            connection.sendall(data)
        if reads:
            connection.recv(65536)
    except OSError:
        pass  # The server may be the one that ends it.
    if number % 3 == 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    connection.close()


def crowd(run, tls, numbers):
    """Lets these connections happen, from several threads at once."""
    port = run.port

    def work(offset):
        for number in numbers[offset::THREADS]:
            meet(port, tls, number)

    threads = [threading.Thread(target=work, args=(one,), daemon=True) for one in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def settled(run, count):
    """Descriptors and memory once so many have come, and the scrape's own connection is the only one."""
    wait_for_count(run, "connections_accepted_total", count, listener="public")
    wait_for_count(run, "connections_active", 1)
    return run.descriptors(), run.memory()["Rss"]


@pytest.mark.parametrize(("transport", "count"), [("tls", COUNT // 5), ("plain", COUNT * 4 // 5)])
def test_they_leave_nothing(serving, certificates, many_descriptors, dial, transport, count):
    tls = certificates.client_context() if transport == "tls" else None
    run = serving(
        "--head-timeout", "5", "--linger-timeout", "2", "--body-timeout", "2", tls=bool(tls))
    crowd(run, tls, range(count // 4))
    descriptors, memory = settled(run, count // 4)
    crowd(run, tls, range(count // 4, count))
    _, grown = settled(run, count)
    # A probe under way has one more for a moment.
    wait_until("no more descriptors than before", lambda: run.descriptors() <= descriptors)
    assert grown - memory <= 2 << 20
    with dial(run) as connection:
        assert connection.request("GET", "/").status == 307

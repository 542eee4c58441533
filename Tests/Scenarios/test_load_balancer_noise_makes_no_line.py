"""What health checks of load balancers do, two hundred times each: nothing above debug, and exact counts."""

import socket
import struct

import pytest

from harness.http import Connection
from harness.metrics import wait_for_count
from harness.proxy import LOCAL, UNSPEC, v2

TIMES = 200


def close_with_reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def noise(run):
    """Lines above debug from when the node was known to the end, which comes now."""
    assert run.stop() == 0
    index = lambda words: next(at for at, line in enumerate(run.lines) if words in line)
    lines = run.lines[index("active vault node") + 1:index('msg="stopping:')]
    return [line for line in lines if "level=debug" not in line]


@pytest.fixture
def quiet(serving):
    """Starts a run, and checks at the end that it counted so many connections, closed so, and said nothing."""
    runs = []

    def start(*arguments, tls):
        runs.append(serving(*arguments, tls=tls))
        return runs[-1]

    yield start
    [run] = runs
    wait_for_count(run, "connections_closed_total", TIMES, reason="no_data")
    metrics = wait_for_count(run, "connections_active", 1)
    assert metrics("connections_accepted_total", listener="public") == TIMES
    # Those of the scrapes are `answered`.
    assert set(metrics.nonzero("connections_closed_total", "reason")) == {"no_data", "answered"}
    assert noise(run) == []


def test_connect_and_close(quiet, transport):
    run = quiet(tls=transport == "tls")
    for _ in range(TIMES):
        Connection(run.port).socket.close()


def test_connect_and_reset(quiet, transport):
    run = quiet(tls=transport == "tls")
    for _ in range(TIMES):
        close_with_reset(Connection(run.port).socket)


def test_handshake_and_close(quiet, certificates):
    run = quiet(tls=True)
    context = certificates.client_context()
    for _ in range(TIMES):
        Connection(run.port, tls=context).socket.close()
    wait_for_count(run, "tls_handshakes_total", TIMES, version="1.3")


def test_handshake_and_close_notify(quiet, certificates):
    run = quiet(tls=True)
    context = certificates.client_context()
    for _ in range(TIMES):
        with Connection(run.port, tls=context) as connection:
            connection.socket.unwrap().close()


def test_proxy_local_and_close(quiet, transport):
    run = quiet(
        "--proxy-protocol", "v2", "--proxy-protocol-from", "127.0.0.1", tls=transport == "tls")
    for _ in range(TIMES):
        with Connection(run.port) as connection:
            connection.send(v2(LOCAL, UNSPEC))
    wait_for_count(
        run, "proxy_protocol_headers_total", TIMES, version="2", command="local",
        result="accepted")

"""The process stands still for longer than its deadlines, while whole requests arrive: each of them is answered."""

import contextlib
import time

import pytest

from harness.late import standing_still, wait_for_delivery
from harness.metrics import wait_for_count

# More than the events that a worker takes at once.
CLIENTS = 300
# Long enough for all of them to connect, by TLS on a busy machine too.
SECONDS = 5
FIRST = b"GET /v1/first HTTP/1.1\r\nHost: x\r\n\r\n"


def prepare(connections, phase: str):
    """All connections in that phase, as far as the client can bring them there."""
    for connection in connections:
        if phase == "begun":
            connection.send(b"GET /v1/")
        if phase == "idle":
            connection.send(FIRST)
    if phase == "idle":
        for connection in connections:
            assert connection.response().status == 307


def rest(phase: str, number: int) -> bytes:
    return b"%s%d HTTP/1.1\r\nHost: x\r\n\r\n" % (b"" if phase == "begun" else b"GET /v1/", number)


@pytest.mark.parametrize("phase", ["due", "begun", "idle"])
def test_requests_that_arrived_meanwhile(serving, dial, transport, phase, many_descriptors):
    run = serving(
        "--head-timeout", SECONDS, "--keep-alive-timeout", SECONDS, "--workers", "1",
        tls=transport == "tls")
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(dial(run, seconds=60)) for _ in range(CLIENTS)]
        prepare(connections, phase)
        wait_for_count(run, "connections_active", CLIENTS + 1)
        with standing_still(run):
            for number, connection in enumerate(connections):
                connection.send(rest(phase, number))
            wait_for_delivery(run, connections[-1].socket)
            # The deadlines are what is tested, and no event tells of them while the process stands still: time must pass.
            time.sleep(SECONDS + 0.5)
        for number, connection in enumerate(connections):
            response = connection.response()
            assert (response.status, response["Location"].rpartition("/")[2]) == (307, str(number))
    metrics = wait_for_count(run, "connections_active", 1)
    assert metrics("http_requests_total", code="408") == 0
    assert metrics.closed("head_timeout") == metrics.closed("keepalive") == 0

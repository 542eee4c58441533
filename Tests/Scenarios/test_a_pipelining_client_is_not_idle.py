"""A TLS client that pipelines, a record for each request: between two reads of them it is not idle.

A stop answers every request that came before it, and who needs a place waits, or has that of one who is idle.
"""

import contextlib
import signal

import pytest

from harness.floods import assert_silent
from harness.http import Connection
from harness.late import standing_still, wait_for_delivery
from harness.metrics import scrape, wait_for_count
from harness.tls import versioned

COUNT = 300


@pytest.fixture(params=["1.2", "1.3"])
def tls(request, certificates):
    return versioned(certificates.client_context(), request.param)


def ask(connection: Connection):
    assert connection.request("GET", "/v1/first").status == 307


def pipeline(connection: Connection, run):
    """So many requests, a record each."""
    for number in range(COUNT):
        connection.send(f"GET /v1/{number} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    wait_for_delivery(run, connection.socket)


def take_answers(connection: Connection):
    """Every answer, in order."""
    for number in range(COUNT):
        response = connection.response()
        assert (response.status, response["Location"].rpartition("/")[2]) == (307, str(number))


@pytest.mark.parametrize("clients, workers", [(10, 1), (20, 2)])
def test_a_stop_answers_all_that_came_before_it(serving, tls, clients, workers):
    run = serving("--workers", workers)
    with contextlib.ExitStack() as stack:
        connections = [
            stack.enter_context(Connection(run.port, tls=tls, seconds=60)) for _ in range(clients)]
        for connection in connections:
            ask(connection)
        with standing_still(run):
            for connection in connections:
                pipeline(connection, run)
            run.signal(signal.SIGTERM)
        for connection in connections:
            take_answers(connection)
            assert connection.read_to_end() == b""
    assert run.wait(60) == 0


@pytest.mark.parametrize("round_", range(3))
def test_a_newcomer_waits(serving, tls, round_):
    run = serving("--workers", "1", "--max-connections", "1")
    with Connection(run.port, tls=tls, seconds=60) as busy:
        ask(busy)
        with standing_still(run):
            pipeline(busy, run)
            newcomer = Connection(run.port, seconds=60)
        take_answers(busy)
        # Then it is idle, and makes room.
        assert busy.read_to_end() == b""
        newcomer.socket.close()


def test_newcomers_take_the_places_of_the_idle(serving, tls):
    run = serving("--workers", "1", "--max-connections", "4")
    with contextlib.ExitStack() as stack:
        # Who pipelines has been there longest.
        busy, *idle = [
            stack.enter_context(Connection(run.port, tls=tls, seconds=60)) for _ in range(4)]
        for connection in (busy, *idle):
            ask(connection)
        with standing_still(run):
            pipeline(busy, run)
            newcomers = [stack.enter_context(Connection(run.port, seconds=60)) for _ in idle]
        take_answers(busy)
        for connection in idle:
            assert connection.read_to_end() == b""
        assert_silent(busy)
        assert wait_for_count(run, "connections_closed_total", 3, reason="reclaimed")
        for newcomer in newcomers:
            newcomer.socket.close()
        ask(busy)
    assert scrape(run)("http_requests_total", code="307") == COUNT + 5

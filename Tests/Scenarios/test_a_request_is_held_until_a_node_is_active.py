"""--hold and --hold-max: answered when a node is published, 503 at the end, at once over the number."""

import contextlib
import json
import time

import pytest

from harness.floods import reset
from harness.http import ConnectionEnded
from harness.metrics import scrape, wait_for_count
from harness.polling import wait_until
from harness.vault import StandInVault

REQUEST = b"GET /v1/x HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def standby(certificates):
    """A node that may become active."""
    with StandInVault(certificates, 429) as vault:
        yield vault


@pytest.fixture
def holding(redirector, certificates, standby, transport):
    def start(*arguments, hold="60"):
        words = ["-c", certificates.chain, "-k", certificates.key] if transport == "tls" else []
        return redirector(
            "--bind", "127.0.0.1", "--admin", "127.0.0.1:0", "--vault-addr", standby.origin,
            "--vault-cacert", certificates.ca, "--probe-interval", "0.1", "--hold", hold,
            *words, *arguments, listeners=2)

    return start


def hold(stack, dial, run, count: int) -> list:
    """Connections with a request each that waits; returns when all of them do."""
    connections = [stack.enter_context(dial(run, seconds=120)) for _ in range(count)]
    for connection in connections:
        connection.send(REQUEST)
    wait_for_count(run, "http_requests_held", count)
    return connections


def test_many_are_answered_at_once(holding, dial, standby, many_descriptors):
    run = holding()
    with contextlib.ExitStack() as stack:
        held = hold(stack, dial, run, 200)
        # Health is asked meanwhile, and is not held.
        with dial(run) as connection:
            assert connection.request("GET", "/vault-redirector-health").status == 503

        standby.status = 200
        for connection in held:
            response = connection.response()
            assert (response.status, response["Location"]) == (307, standby.origin + "/v1/x")
        # And each connection goes on.
        for connection in held:
            assert connection.request("GET", "/v1/y")["Location"] == standby.origin + "/v1/y"
    metrics = wait_for_count(run, "http_requests_held", 0)
    assert metrics("http_requests_held_total") == 200
    assert metrics("http_requests_total", code="503") == 1  # Health's.


def test_a_body_that_is_here_already_does_not_disturb(holding, dial, standby):
    run = holding()
    with dial(run, seconds=60) as connection:
        body = b"x" * 10_000
        head = b"PUT /v1/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000\r\n\r\n"
        connection.send(head + body + REQUEST)
        wait_for_count(run, "http_requests_held", 1)
        standby.status = 200
        assert connection.response().status == 307
        assert connection.response().status == 307
        assert connection.leftover == b""


def test_at_the_end_it_is_a_503(holding, dial):
    run = holding(hold="0.3")
    with dial(run, seconds=60) as connection:
        for _ in range(2):
            began = time.monotonic()
            response = connection.request("GET", "/v1/x")
            assert response.status == 503
            assert response["Retry-After"] == "1"
            assert json.loads(response.body)["errors"]
            # Not before its time; how long after is the machine's affair.
            assert time.monotonic() - began >= 0.29
    assert scrape(run)("http_requests_held_total") == 2


@pytest.mark.parametrize("workers", ["1", "2"])
def test_over_the_number_it_is_a_503_at_once(holding, dial, standby, workers):
    run = holding("--hold-max", "3", "--workers", workers)
    with contextlib.ExitStack() as stack:
        held = hold(stack, dial, run, 3)
        for _ in range(5):
            with dial(run) as connection:
                response = connection.request("GET", "/v1/x")
                assert (response.status, response["Retry-After"]) == (503, "1")
        standby.status = 200
        assert [connection.response().status for connection in held] == [307] * 3


def test_one_that_goes_away_gives_its_place_back(holding, dial, standby):
    run = holding("--hold-max", "2", "--workers", "1")
    with contextlib.ExitStack() as stack:
        for connection in hold(stack, dial, run, 2):
            # Whoever only says that nothing more comes is still there for the answer.
            reset(connection.socket)
        metrics = wait_for_count(run, "http_requests_held", 0)
        assert metrics.closed("abandoned_hold") == 2
        held = hold(stack, dial, run, 2)
        standby.status = 200
        assert [connection.response().status for connection in held] == [307] * 2


def test_the_hold_goes_on_through_a_node_that_was_active_for_a_moment(holding, dial, standby):
    run = holding(hold="60")
    standby.status = 200
    with dial(run, seconds=120) as connection:
        wait_until("a redirect", lambda: connection.request("GET", "/v1/x").status == 307)
        standby.status = 503
        for _ in range(3):
            run.wait_for_line("to=none")
            connection.send(REQUEST)
            wait_for_count(run, "http_requests_held", 1)
            standby.status = 200
            assert connection.response().status == 307
            standby.status = 503
            wait_until("the end of it", lambda: scrape(run)("active_node_known") == 0)


def test_it_ends_while_others_wait_for_a_connection(redirector, dial, certificates, standby):
    """Who finds no room asks every worker for some, once a second: that must not begin a hold anew."""
    run = redirector(
        "--bind", "127.0.0.1", "--vault-addr", standby.origin, "--vault-cacert", certificates.ca,
        "--hold", "3", "--max-connections", "1")
    with dial(run) as held:
        held.send(REQUEST)
        wait_until("a probe", lambda: standby.requests)
        with dial(run) as waiting:
            waiting.send(REQUEST)
            assert held.response().status == 503


def test_a_stop_does_not_wait_for_the_hold(holding, dial):
    run = holding("--shutdown-timeout", "1")
    with contextlib.ExitStack() as stack:
        [connection] = hold(stack, dial, run, 1)
        assert run.stop() == 0
        try:
            assert connection.response().status == 503
        except (ConnectionEnded, OSError):
            pass  # An honest end as well: the client asks somebody else.

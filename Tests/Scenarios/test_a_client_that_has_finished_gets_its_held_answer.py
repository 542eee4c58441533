"""With --hold: a client that shuts down its side behind its request waits for the answer all the same."""

import pytest

from harness.floods import assert_silent, reset
from harness.late import Narrow, finish, wait_for_delivery
from harness.metrics import Scraper, wait_for_count
from harness.vault import StandInVault

HEALTH = b"GET /vault-redirector-health HTTP/1.1\r\nHost: localhost\r\n\r\n"
REQUEST = b"GET /v1/x HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def standby(certificates):
    """A node that may become active."""
    with StandInVault(certificates, 429) as vault:
        yield vault


@pytest.fixture
def holding(redirector, certificates, standby, transport):
    """One worker: when a scrape is answered, it has seen all that came before that."""
    words = ["-c", certificates.chain, "-k", certificates.key] if transport == "tls" else []
    return lambda hold: redirector(
        "--bind", "127.0.0.1", "--admin", "127.0.0.1:0", "--vault-addr", standby.origin,
        "--vault-cacert", certificates.ca, "--probe-interval", "0.1", "--hold", hold,
        "--workers", "1", *words, listeners=2)


def finish_while_held(run, ask, connection):
    """The client's end, once its request is held, and seen."""
    wait_for_count(ask, "http_requests_held", 1)
    finish(connection)
    wait_for_delivery(run, connection.socket)
    for _ in range(2):
        ask()


def test_it_is_sent_to_the_node_that_becomes_active(holding, dial, standby):
    run = holding("120")
    with Scraper(run) as ask, dial(run, seconds=60) as connection:
        connection.send(REQUEST)
        finish_while_held(run, ask, connection)
        assert_silent(connection)
        standby.status = 200
        response = connection.response()
        assert (response.status, response["Location"]) == (307, standby.origin + "/v1/x")
        assert connection.read_to_end() == b""
        wait_for_count(ask, "http_requests_held", 0)


def test_it_is_told_that_there_is_no_node_at_the_end_of_the_hold(holding, dial):
    run = holding("1")
    with Scraper(run) as ask, dial(run, seconds=60) as connection:
        connection.send(REQUEST)
        # Not waited for until it is held: that may be over.
        finish(connection)
        response = connection.response()
        assert (response.status, response["Retry-After"]) == (503, "1")
        assert connection.read_to_end() == b""
        assert ask()("http_requests_held_total") == 1


def test_the_end_comes_together_with_the_request(holding, dial, standby):
    run = holding("120")
    with Scraper(run) as ask:
        for _ in range(5):
            standby.status = 429
            wait_for_count(ask, "active_node_known", 0)
            with dial(run, seconds=60) as connection:
                connection.send(REQUEST)
                finish(connection)
                wait_for_count(ask, "http_requests_held", 1)
                ask()
                standby.status = 200
                assert connection.response()["Location"] == standby.origin + "/v1/x"
                assert connection.read_to_end() == b""


def test_answers_before_it_arrive_whole(holding, certificates, standby, transport):
    run = holding("120")
    tls = certificates.client_context() if transport == "tls" else None
    with Scraper(run) as ask, Narrow(run, tls, receive_buffer=2048) as connection:
        connection.send(60 * HEALTH + REQUEST)
        finish_while_held(run, ask, connection)
        assert [connection.response().status for _ in range(60)] == 60 * [503]
        assert_silent(connection)
        standby.status = 200
        assert connection.response()["Location"] == standby.origin + "/v1/x"
        assert connection.read_to_end() == b""


def test_one_that_resets_after_its_end_is_gone(holding, dial):
    run = holding("120")
    with Scraper(run) as ask, dial(run, seconds=60) as connection:
        connection.send(REQUEST)
        finish_while_held(run, ask, connection)
        reset(connection.socket)
        metrics = wait_for_count(ask, "http_requests_held", 0)
        assert metrics("connections_active") == 1

"""With --hold: what is answered before a request that is held goes out at once, and to nobody else."""

import pytest

from harness.floods import assert_silent
from harness.metrics import Scraper, wait_for_count
from harness.vault import StandInVault

HEALTH = b"GET /vault-redirector-health HTTP/1.1\r\nHost: localhost\r\n\r\n"


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


@pytest.fixture
def standby(certificates):
    """A node that may become active."""
    with StandInVault(certificates, 429) as vault:
        yield vault


@pytest.fixture
def run(redirector, certificates, standby, transport):
    """One worker, so that all connections share what it has."""
    words = ["-c", certificates.chain, "-k", certificates.key] if transport == "tls" else []
    return redirector(
        "--bind", "127.0.0.1", "--admin", "127.0.0.1:0", "--vault-addr", standby.origin,
        "--vault-cacert", certificates.ca, "--probe-interval", "0.1", "--hold", "120",
        "--head-timeout", "120", "--workers", "1", *words, listeners=2)


def test_it_arrives_while_the_next_one_is_held(run, dial, standby):
    with dial(run) as connection:
        connection.send(HEALTH + get("/v1/x"))
        wait_for_count(run, "http_requests_held", 1)
        assert connection.response().status == 503
        assert_silent(connection)
        standby.status = 200
        assert connection.response()["Location"] == standby.origin + "/v1/x"


def test_several_arrive(run, dial, standby):
    with dial(run) as connection:
        connection.send(5 * HEALTH + get("/v1/x") + HEALTH + get("/v1/y"))
        wait_for_count(run, "http_requests_held", 1)
        assert [connection.response().status for _ in range(5)] == [503] * 5
        assert_silent(connection)
        standby.status = 200
        assert connection.response()["Location"] == standby.origin + "/v1/x"
        assert connection.response().status == 200
        assert connection.response()["Location"] == standby.origin + "/v1/y"


def test_the_next_client_receives_its_own_answers_alone(run, dial, standby):
    # No connection ends meanwhile: what one leaves behind, its end might clear away.
    with Scraper(run) as ask, dial(run) as first:
        first.send(HEALTH + get("/v1/first"))
        wait_for_count(ask, "http_requests_held", 1)

        with dial(run) as next_one:
            # When a scrape is answered, the worker has done all that it does about a handshake counted before.
            if run.listeners[0].transport == "tls":
                wait_for_count(ask, "tls_handshakes_total", 2)
            ask()
            assert_silent(next_one)

            next_one.send(get("/v1/next/0"))
            wait_for_count(ask, "http_requests_held", 2)
            assert_silent(next_one)
            standby.status = 200
            for number in range(20):
                assert next_one.response()["Location"] == f"{standby.origin}/v1/next/{number}"
                assert_silent(next_one)
                next_one.send(get(f"/v1/next/{number + 1}"))

        assert first.response().status == 503
        assert first.response()["Location"] == standby.origin + "/v1/first"
        assert_silent(first)


def test_a_request_of_the_next_client_is_answered_with_its_own(run, dial, standby):
    with Scraper(run) as ask, dial(run) as first:
        first.send(HEALTH + get("/v1/first"))
        wait_for_count(ask, "http_requests_held", 1)
        standby.status = 200
        with dial(run) as next_one:
            for number in range(20):
                path = f"/v1/next/{number}"
                response = next_one.request("PUT", path, body=b"secret")
                assert (response.status, response["Location"]) == (307, standby.origin + path)
            assert_silent(next_one)
        assert first.response().status == 503
        assert first.response()["Location"] == standby.origin + "/v1/first"

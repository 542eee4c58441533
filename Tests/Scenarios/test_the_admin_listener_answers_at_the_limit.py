"""With every connection that --max-connections allows in use, --admin still tells how it is."""

import contextlib
import json

import pytest

from harness.http import Connection
from harness.metrics import scrape, wait_for_count
from harness.polling import wait_until
from harness.vault import StandInVault

REQUEST = b"GET /v1/x HTTP/1.1\r\nHost: x\r\n\r\n"
HEALTH = "/vault-redirector-health"
LIMIT = 4


def health(run) -> tuple[int, dict]:
    with Connection(run.admin_port) as connection:
        response = connection.request("GET", HEALTH, Connection="close")
    return response.status, json.loads(response.body)


def answers_five_times(run):
    """Both paths, all busy connections being accepted; gives the status of health."""
    wait_until("all of them", lambda: scrape(run)("connections_active") >= LIMIT)
    for _ in range(5):
        assert scrape(run)("connections_active") >= LIMIT
        status, document = health(run)
        assert document["healthy"] is (status == 200)
    return status


@pytest.mark.parametrize("workers", [1, 3])
def test_with_half_a_head_on_each(serving, dial, transport, workers):
    run = serving(
        "--max-connections", LIMIT, "--workers", workers, "--head-timeout", "120",
        tls=transport == "tls")
    with contextlib.ExitStack() as stack:
        busy = [stack.enter_context(dial(run, seconds=60)) for _ in range(LIMIT)]
        for connection in busy:
            connection.send(REQUEST[:-2])
        # Others wait for one of them to end; what is asked of the admin listener does not.
        late = [stack.enter_context(Connection(run.port, seconds=60)) for _ in range(2)]
        status = answers_five_times(run)
        assert status == 200
        for connection in busy:
            connection.send(b"\r\n")
            assert connection.response().status == 307
        if transport == "plain":
            for connection in late:
                connection.send(REQUEST)
                assert connection.response().status == 307


def test_with_a_held_request_on_each(redirector, certificates, dial):
    with StandInVault(certificates, 429) as standby, contextlib.ExitStack() as stack:
        run = redirector(
            "--bind", "127.0.0.1", "--admin", "127.0.0.1:0", "--vault-addr", standby.origin,
            "--vault-cacert", certificates.ca, "--probe-interval", "0.1", "--hold", "120",
            "--max-connections", LIMIT, "--workers", "1", listeners=2)
        held = [stack.enter_context(dial(run, seconds=120)) for _ in range(LIMIT)]
        for connection in held:
            connection.send(REQUEST)
        wait_for_count(run, "http_requests_held", LIMIT)
        status = answers_five_times(run)
        assert status == 503
        standby.status = 200
        for connection in held:
            assert connection.response().status == 307


def test_health_is_what_the_public_listener_says(serving, dial):
    run = serving(tls=False)
    with dial(run) as public:
        said = json.loads(public.request("GET", HEALTH).body)
    status, document = health(run)
    changing = {"last_consul_poll", "discovery"}
    assert status == 200 and document.keys() == said.keys()
    assert {key: document[key] for key in document.keys() - changing} == {
        key: said[key] for key in said.keys() - changing}
    with Connection(run.admin_port) as admin:
        response = admin.request("HEAD", HEALTH + "?why=not")
        assert (response.status, response.body) == (200, b"")
        assert admin.request("GET", "/v1/x").status == 404

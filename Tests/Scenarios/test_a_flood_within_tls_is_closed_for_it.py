"""Messages of TLS that carry no data, without end: their sender is closed for it, and nobody else waits or notices."""

import pytest

from harness.floods import Asking, Renegotiations, Updates, connect, outlived_by
from harness.http import Connection
from harness.metrics import scrape, wait_for_count
from harness.openssl import Session
from harness.polling import wait_until

UPDATES, RENEGOTIATIONS = 400_000, 400_000  # more than a worker does in a second

FLOODS = {
    "key updates to be answered": lambda run: Updates(run, UPDATES),
    "key updates": lambda run: Updates(run, UPDATES, requested=False),
    "renegotiations": lambda run: Renegotiations(run, RENEGOTIATIONS),
}


@pytest.fixture
def run(serving):
    """One worker, and time to make a flood before it is let go."""
    return serving("--workers", "1", "--handshake-timeout", "120", "--head-timeout", "120")


@pytest.mark.parametrize("kind", FLOODS)
def test_it_is_closed_and_others_are_answered(run, certificates, kind):
    flood = FLOODS[kind](run)
    tls = certificates.client_context()
    with outlived_by(run), Asking(run, tls, "beside") as beside:
        wait_until("an answer", lambda: beside.answers > 0 or beside.failure)
        with flood.flood() as flooding:
            while not flooding.is_over:
                scrape(run)
            metrics = wait_for_count(run, "connections_closed_total", 1, reason="tls_flood")
        before = beside.answers
        wait_until("answers after it", lambda: beside.answers > before + 1 or beside.failure)
        beside.stop()
        assert beside.failure is None
        assert metrics("tls_handshakes_total") == 2
        with Connection(run.port, tls=tls, seconds=60) as after:
            assert after.request("GET", "/v1/x").status == 307
        assert run.stop(60) == 0


def test_a_few_key_updates_are_none(run):
    """A client may change its keys before each request, and ask for the server's."""
    connection = connect(run.port)
    session = Session("1.3")
    connection.sendall(session.handshake(connection))
    for number in range(10):
        request = f"GET /v1/{number} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        connection.sendall(session.key_updates(1) + session.sealed(request))
        answer = session.read(connection)
        assert answer.startswith(b"HTTP/1.1 307 ") and f"/v1/{number}\r\n".encode() in answer
    connection.close()
    assert scrape(run).closed("tls_flood") == 0

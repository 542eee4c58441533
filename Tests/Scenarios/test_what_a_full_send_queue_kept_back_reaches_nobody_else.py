"""A client that takes nothing of what its KeyUpdates ask for, in the middle of a head: its 408 is nobody else's."""

import contextlib

from harness.floods import assert_silent, connect, reset
from harness.metrics import Scraper, wait_for_count
from harness.openssl import Session
from harness.polling import wait_until

UPDATES = 20_000  # Their answers are more than any send queue takes.


def is_over(metrics) -> bool:
    """A head was late, or a connection is closed."""
    return bool(metrics("http_requests_total", code="408") or metrics("connections_closed_total"))


def test_the_next_client(serving, dial):
    run = serving("--workers", "1", "--head-timeout", "5", "--handshake-timeout", "60")
    # No other connection ends meanwhile: what one leaves behind, its end might clear away.
    with Scraper(run) as ask:
        ask()
        greedy = connect(run.port, receive_buffer=2048, segment=536)
        session = Session("1.3")
        # Made before the handshake ends: from then on it has five seconds.
        last = session.handshake(greedy)
        half = session.sealed(b"GET /v1/greedy HTTP/1.1\r\nHost: x\r\n")
        data = memoryview(last + half + session.key_updates(UPDATES))
        greedy.settimeout(1)
        with contextlib.suppress(OSError):
            while data:
                data = data[greedy.send(data):]
        # It blocked, or was closed: nobody takes anything any more.
        wait_until("the end of its head's time", lambda: is_over(ask()))

        with dial(run) as next_one:
            wait_for_count(ask, "tls_handshakes_total", 2)
            ask()
            assert_silent(next_one)
            for number in range(20):
                response = next_one.request("GET", f"/v1/next/{number}")
                assert response.status == 307
                assert response["Location"].endswith(f"/v1/next/{number}")
                assert_silent(next_one)
        reset(greedy)
        wait_for_count(ask, "connections_active", 1)

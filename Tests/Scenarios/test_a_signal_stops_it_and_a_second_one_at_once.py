"""SIGTERM and SIGINT finish what is in flight and exit 0; a second one exits at once."""

import signal

import pytest

from harness.http import Connection
from harness.polling import wait_until

HALF = b"GET /half HTTP/1.1\r\nHost: x\r\n"


def wait_until_it_drains(run):
    """Every worker has heard of the stop: nobody listens any more. The log's line comes before."""
    run.wait_for_line("msg=\"stopping:")

    def is_refused():
        try:
            Connection(run.port).socket.close()
        except ConnectionError:
            return True

    wait_until("connections to be refused", is_refused)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_exits_0(serving, dial, number, transport):
    run = serving(tls=transport == "tls")
    with dial(run) as idle:
        assert idle.request("GET", "/").status == 307
        run.signal(number)
        assert run.wait() == 0
        assert idle.read_to_end() == b""
    assert "msg=stopped" in run.lines[-1]


def test_a_request_half_sent_is_finished(serving, dial, transport):
    run = serving(tls=transport == "tls")
    with dial(run) as half:
        half.send(HALF)
        # A second connection: what the first one sent has been read once this one is answered.
        with dial(run) as other:
            other.request("GET", "/", Connection="close")
        run.signal(signal.SIGTERM)
        wait_until_it_drains(run)
        half.send(b"\r\n")
        response = half.response()
        assert response.status == 307
        assert response["Connection"] == "close"
        assert half.read_to_end() == b""
    assert run.wait() == 0


def test_new_connections_are_refused_meanwhile(serving, dial):
    run = serving(tls=False)
    with dial(run) as half:
        half.send(HALF)
        with dial(run) as other:
            other.request("GET", "/", Connection="close")
        run.signal(signal.SIGTERM)
        wait_until_it_drains(run)
        half.send(b"\r\n")
        assert half.response().status == 307
    assert run.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_exits_at_once(serving, dial, number):
    run = serving(tls=False)
    with dial(run) as half:
        half.send(HALF)
        with dial(run) as other:
            other.request("GET", "/", Connection="close")
        run.signal(signal.SIGTERM)
        run.wait_for_line("msg=\"stopping:")
        run.signal(number)
        assert run.wait() == 128 + number
        run.wait_for_line("second signal: stopping at once")


def test_a_drain_that_takes_too_long_ends_all_the_same(serving, dial):
    run = serving("--shutdown-timeout", "0.3", "--head-timeout", "60", tls=False)
    with dial(run) as half:
        half.send(HALF)
        with dial(run) as other:
            other.request("GET", "/", Connection="close")
        run.signal(signal.SIGTERM)
        assert run.wait() == 0
    run.wait_for_line("shutdown timeout: connections are closed in the middle")

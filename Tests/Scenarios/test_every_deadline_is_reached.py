"""Every timeout that is a flag, reached: the connection ends, as it should, and is counted under its reason."""

import pytest

from harness.http import Connection
from harness.metrics import wait_for_count

SHORT = "0.4"
# For a client that must come in time, on a busy machine too.
ENOUGH = "3"
HOST = b"Host: x\r\n"


@pytest.fixture
def run(serving, transport):
    """Starts a run in which one deadline is short."""
    return lambda flag, *more, seconds=SHORT: serving(flag, seconds, *more, tls=transport == "tls")


def closed(run, reason, count=1):
    wait_for_count(run, "connections_closed_total", count, reason=reason)


def test_head_that_is_begun(run, dial):
    run = run("--head-timeout", seconds=ENOUGH)
    with dial(run, seconds=60) as connection:
        connection.send(b"GET / HTTP/1.1\r\n")
        response = connection.response()
        assert (response.status, response["Connection"]) == (408, "close")
        assert connection.read_to_end() == b""
    closed(run, "head_timeout")


def test_head_that_is_begun_behind_another(run, dial):
    run = run("--head-timeout", seconds=ENOUGH)
    with dial(run, seconds=60) as connection:
        connection.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\nG")
        assert connection.response().status == 307
        assert connection.response().status == 408
        assert connection.read_to_end() == b""
    closed(run, "head_timeout")


def test_head_that_never_begins(run, dial):
    run = run("--head-timeout")
    with dial(run, seconds=60) as connection:
        assert connection.read_to_end() == b""  # And no 408 to somebody who asked nothing.
    closed(run, "head_timeout")


def test_keep_alive(run, dial):
    run = run("--keep-alive-timeout")
    with dial(run, seconds=60) as connection:
        assert connection.request("GET", "/").status == 307
        assert connection.read_to_end() == b""
    closed(run, "keepalive")


def test_body(run, dial):
    run = run("--body-timeout", "--linger-timeout", "5")
    with dial(run, seconds=60) as connection:
        connection.send(b"PUT / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhal")
        assert connection.response().status == 307
        assert connection.read_to_end() == b""
    closed(run, "body_timeout")


def test_linger(run, dial):
    run = run("--linger-timeout")
    with dial(run, seconds=60) as connection:
        connection.send(b"PUT / HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\n")
        connection.send(b"Content-Length: 5\r\n\r\n")
        assert connection.response().status == 307
        assert connection.read_to_end() == b""
        closed(run, "answered")  # Though the client keeps its side open.


def test_write(run, dial):
    run = run("--write-timeout")
    with dial(run) as connection:
        # It blocks when nobody takes anything any more, and fails when the server has closed.
        with pytest.raises(OSError) as raised:
            while True:
                connection.send(1000 * (b"GET /" + 900 * b"x" + b" HTTP/1.1\r\n" + HOST + b"\r\n"))
        assert not isinstance(raised.value, TimeoutError)
        closed(run, "write_timeout")


@pytest.mark.parametrize("part", [b"", b"PROXY TCP4 192.0.2."])
def test_proxy_header(run, part):
    run = run(
        "--proxy-header-timeout", "--proxy-protocol", "v1", "--proxy-protocol-from", "127.0.0.1")
    with Connection(run.port, seconds=60) as connection:
        connection.send(part)
        try:
            assert connection.read_to_end() == b""
        except ConnectionResetError:
            pass  # It closed with the part unread.
    closed(run, "proxy_header_timeout")


def test_handshake(serving):
    run = serving("--handshake-timeout", SHORT)
    with Connection(run.port, seconds=60) as connection:
        assert connection.read_to_end() == b""
    closed(run, "handshake_timeout")

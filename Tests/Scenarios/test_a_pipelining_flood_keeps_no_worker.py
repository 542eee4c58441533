"""A client that pipelines without a pause: others have their turns between its own, and a stop ends it."""

import contextlib
import os
import pathlib
import signal

import pytest

from harness.floods import Asking, Flood, connect
from harness.metrics import Scraper, scrape, wait_for_count
from harness.openssl import Session
from harness.polling import wait_until

READ = 16 << 10  # bytes, the most of one read
READS_IN_A_TURN = 32
ROUNDS, POURED = 6, 20_000
CLIENTS, REQUESTS = 50, 20


def requests(count: int, padding: int = 0) -> bytes:
    field = b"X-Padding: " + padding * b"x" + b"\r\n" if padding else b""
    return count * (b"GET /v1/flood HTTP/1.1\r\nHost: x\r\n" + field + b"\r\n")


class Pipelining:
    """A connection, with TLS or without, and what makes its bytes of requests."""

    def __init__(self, run, transport: str):
        self.connection = connect(run.port)
        self.sealed = lambda data: data
        if transport == "tls":
            session = Session("1.3")
            self.connection.sendall(session.handshake(self.connection))
            self.sealed = session.sealed


def states(run) -> set[str]:
    """Of its threads: S where all of them wait, T where all are stopped."""
    tasks = pathlib.Path(f"/proc/{run.pid}/task").iterdir()
    return {(task / "stat").read_text().rpartition(")")[2].split()[0] for task in tasks}


def stop(run):
    wait_until("it to wait", lambda: states(run) == {"S"})
    run.signal(signal.SIGSTOP)
    wait_until("it to be stopped", lambda: states(run) == {"T"})


def pour(connection, data: bytes) -> memoryview:
    """Sends all that the kernel takes for a server that reads nothing, and gives what it did not take."""
    left = memoryview(data)
    with contextlib.suppress(BlockingIOError):
        while left:
            left = left[os.write(connection.fileno(), left):]
    assert left
    return left


def test_a_turn_is_bounded(serving, transport):
    """Megabytes are there before somebody else asks: one turn's worth of them is answered before that one is."""
    run = serving("--workers", "1", tls=transport == "tls")
    client = Pipelining(run, transport)
    request = requests(1, padding=900)
    largest = 0
    with Scraper(run) as ask, Flood(client.connection, client.sealed(request)):
        wait_for_count(ask, "http_requests_total", 1, code="307")
        # Each time more is read at once, the kernel lets the window grow.
        for _ in range(ROUNDS):
            before = ask()("http_requests_total", code="307")
            data = client.sealed(POURED * request)
            stop(run)
            left = pour(client.connection, data)
            ask.send()
            run.signal(signal.SIGCONT)
            answered = ask.receive()("http_requests_total", code="307") - before
            largest = max(largest, answered)
            client.connection.sendall(left)
            wait_for_count(ask, "http_requests_total", before + POURED, code="307")
    assert largest * len(request) <= READS_IN_A_TURN * READ


def test_others_are_answered_and_it_can_be_stopped(serving, certificates, transport):
    run = serving("--workers", "1", "--shutdown-timeout", "5", tls=transport == "tls")
    tls = certificates.client_context() if transport == "tls" else None
    client = Pipelining(run, transport)
    more = lambda: client.sealed(requests(1000))
    with Flood(client.connection, more(), more) as flood:
        wait_until("the flood", lambda: flood.received)
        clients = [Asking(run, tls, f"client-{number}", REQUESTS) for number in range(CLIENTS)]
        for each in clients:
            each.start()
        for each in clients:
            each.join(120)
            assert each.failure is None and each.answers == REQUESTS
        # It went on meanwhile.
        assert scrape(run)("http_requests_total", code="307") > 2 * CLIENTS * REQUESTS
        assert not flood.is_over
        run.signal(signal.SIGTERM)
        assert run.wait(60) == 0

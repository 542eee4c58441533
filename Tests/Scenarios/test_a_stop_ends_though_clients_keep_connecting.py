"""SIGTERM while connections keep coming: no more than a share of them is taken, and the process ends."""

import signal
import socket
import threading

import pytest

from harness.floods import reset
from harness.metrics import scrape
from harness.polling import wait_until

THREADS = 8
REQUEST = b"GET /v1/x HTTP/1.1\r\nHost: x\r\n\r\n"
LAST_WORDS = {
    "nothing": b"", "a request": REQUEST, "half a head": REQUEST[:-2], "no TLS": b"\x16\x03\x01"}


class Connecting:
    """Threads that connect, say something and go away with a reset, until the end of `with`."""

    def __init__(self, port: int, words: bytes):
        self.connected = self.refused = 0
        self._port, self._words = port, words
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(THREADS)]

    def __enter__(self) -> "Connecting":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def _run(self):
        while not self._over.is_set():
            connection = socket.socket()
            connection.settimeout(60)
            try:
                connection.connect(("127.0.0.1", self._port))
                self.connected += 1
                connection.sendall(self._words)
            except OSError:
                self.refused += 1
            finally:
                reset(connection)


@pytest.mark.parametrize("words", LAST_WORDS)
@pytest.mark.parametrize("workers", [1, 2])
def test_it_ends(serving, words, workers, transport):
    run = serving(
        "--workers", workers, "--shutdown-timeout", "5", "--head-timeout", "2",
        "--handshake-timeout", "2", tls=transport == "tls")
    accepted = lambda: scrape(run)("connections_accepted_total", listener="public")
    with Connecting(run.port, LAST_WORDS[words]) as clients:
        wait_until("the flood", lambda: accepted() > 500)
        connected = clients.connected
        run.signal(signal.SIGTERM)
        assert run.wait(60) == 0
        wait_until("those that are refused", lambda: clients.refused > THREADS)
    assert clients.connected >= connected

"""SIGTERM under load, twenty times: a request whose head was received before it gets its whole answer; exit 0."""

import signal
import threading

import pytest

from harness.http import Connection, ConnectionEnded, ProtocolError
from harness.polling import wait_until

CLIENTS = 8
REQUEST = b"GET /v1/received HTTP/1.1\r\nHost: x\r\n\r\n"


class Client(threading.Thread):
    """Sends one request after the other, until the connection is closed to it."""

    def __init__(self, run, tls, keeps_alive):
        super().__init__(daemon=True)
        self.run_, self.tls, self.keeps_alive = run, tls, keeps_alive
        self.answers = 0
        self.failure = None
        self.stopping = threading.Event()

    def run(self):
        connection = None
        while True:
            try:
                connection = connection or Connection(self.run_.port, tls=self.tls)
            except OSError:
                # Nobody listens any more, or the kernel reset what nobody had accepted.
                if not self.stopping.is_set():
                    self.failure = "refused before the signal"
                return
            fields = {} if self.keeps_alive else {"Connection": "close"}
            try:
                response = connection.request("GET", "/v1/x", **fields)
            except ConnectionEnded as error:
                # Whole or nothing: never a part of an answer, and never nothing before the signal.
                if error.received or not self.stopping.is_set():
                    self.failure = f"cut off: {error}"
                return
            except (OSError, ProtocolError) as error:
                if not self.stopping.is_set():
                    self.failure = f"{error!r}"
                return
            if response.status != 307:
                self.failure = f"status {response.status}"
                return
            self.answers += 1
            if "Connection" in response and response["Connection"] == "close":
                connection.socket.close()
                connection = None


@pytest.mark.parametrize("round_", range(20))
def test_under_load(serving, certificates, round_):
    tls = certificates.client_context() if round_ % 2 else None
    run = serving("--workers", str(1 + round_ % 3), tls=bool(tls))
    clients = [Client(run, tls, keeps_alive=index % 2 == 0) for index in range(CLIENTS)]
    for client in clients:
        client.start()
    # Requests written whole, whose answers nobody reads yet: these are received for sure.
    waiting = [Connection(run.port, tls=tls, seconds=60) for _ in range(4)]
    for connection in waiting:
        connection.request("GET", "/first")
    wait_until("some answers", lambda: sum(client.answers for client in clients) > 100)
    for connection in waiting:
        connection.send(3 * REQUEST)
    # And connections that the kernel has accepted, though perhaps nobody else yet.
    fresh = [Connection(run.port, seconds=60) for _ in range(0 if tls else 4)]
    for connection in fresh:
        connection.send(3 * REQUEST)
    waiting += fresh
    for client in clients:
        client.stopping.set()
    run.signal(signal.SIGTERM)
    for connection in waiting:
        for _ in range(3):
            assert connection.response().status == 307
        assert connection.read_to_end() == b""
        connection.socket.close()
    assert run.wait(60) == 0
    for client in clients:
        client.join(60)
        assert client.failure is None


@pytest.mark.parametrize("round_", range(10))
def test_received_while_nobody_could_look(serving, certificates, round_):
    tls = certificates.client_context() if round_ % 2 else None
    run = serving("--workers", str(1 + round_ % 2), tls=bool(tls))
    known = [Connection(run.port, tls=tls, seconds=60) for _ in range(10)]
    for connection in known:
        connection.request("GET", "/first")

    # Stopped, it receives everything before the signal, and sees all of it at once afterwards.
    run.signal(signal.SIGSTOP)
    fresh = [Connection(run.port, seconds=60) for _ in range(0 if tls else 10)]
    body = b"PUT /v1/received HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
    for connection in known + fresh:
        connection.send(REQUEST + body + 3 * REQUEST)
    run.signal(signal.SIGTERM)
    run.signal(signal.SIGCONT)

    for connection in known + fresh:
        answers = [connection.response() for _ in range(5)]
        assert [answer.status for answer in answers] == [307] * 5
        assert connection.read_to_end() == b""
        connection.socket.close()
    assert run.wait(60) == 0

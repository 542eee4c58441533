"""Clients that ask too much, and ordinary ones beside them."""

import contextlib
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable

from .http import Connection, ProtocolError
from .metrics import scrape, wait_for_count
from .openssl import RECORD_OVERHEAD, Session
from .redirector import Redirector

_TIMESTAMPS = 12  # bytes of TCP's options in a segment on loopback


def connect(port: int, receive_buffer: int = 0, segment: int = 0, seconds: float = 60) -> socket.socket:
    """A socket that is small where a number is given; never one that paces what it sends."""
    connection = socket.socket()
    connection.settimeout(seconds)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    if segment:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
    connection.connect(("127.0.0.1", port))
    return connection


def reset(connection: socket.socket):
    """Closes with a RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def assert_silent(connection: Connection):
    """Nothing came on it; a session ticket is nothing."""
    seconds = connection.socket.gettimeout()
    connection.socket.setblocking(False)
    try:
        received = connection.socket.recv(65536)
    except (BlockingIOError, ssl.SSLWantReadError):
        received = None
    connection.socket.settimeout(seconds)
    assert received is None and connection.leftover == b"", f"received {received!r}"


@contextlib.contextmanager
def outlived_by(run: Redirector):
    """What breaks off in here because the process is gone fails with its exit code."""
    try:
        yield
    except (OSError, ProtocolError) as error:
        with contextlib.suppress(subprocess.TimeoutExpired):
            raise AssertionError(f"the process exited {run.wait(10)}") from error
        raise


class Flood:
    """Sends `data` without a pause, then what `more` makes, if it does, and drops what comes back."""

    def __init__(
        self, connection: socket.socket, data: bytes, more: Callable[[], bytes] = bytes,
        piece: int = 1 << 16,
    ):
        self.connection = connection
        self.received = self.sent = 0
        self._data, self._more, self._piece = data, more, piece
        self._threads = [
            threading.Thread(target=run, daemon=True) for run in (self._send, self._drain)]

    def __enter__(self) -> "Flood":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # It is closed.
        for thread in self._threads:
            thread.join(60)
        self.connection.close()

    @property
    def is_over(self) -> bool:
        """All is sent, or the other side has closed."""
        return not self._threads[0].is_alive()

    def wait(self, seconds: float = 120):
        """Until it is over."""
        self._threads[0].join(seconds)
        assert self.is_over

    def _send(self):
        data = memoryview(self._data)
        try:
            while data:
                for start in range(0, len(data), self._piece):
                    piece = data[start:start + self._piece]
                    self.connection.sendall(piece)
                    self.sent += len(piece)
                data = memoryview(self._more())
        except OSError:
            pass

    def _drain(self):
        try:
            while data := self.connection.recv(1 << 20):
                self.received += len(data)
        except OSError:
            pass


class TLSFlood:
    """Messages without data, ready to be sent, in records of 65 bytes, and in segments that hold 20 of them.

    With read-ahead a call of OpenSSL ends where no part of a record is left in its buffer of 16,709 bytes. That holds
    257 of these and 4 bytes of a header; the segments too begin 4 bytes into a record, so that few calls end soon.
    """

    RECORD = 65
    _SEGMENT = 20 * RECORD
    _EDGE = 4

    def __init__(self, port: int):
        self.connection = connect(port, segment=self._SEGMENT + _TIMESTAMPS)
        self.data = b""

    def flood(self) -> Flood:
        self.connection.sendall(self.data[:self._EDGE])
        return Flood(self.connection, self.data[self._EDGE:], piece=5 * self._SEGMENT)


class Updates(TLSFlood):
    """KeyUpdates. The server waits for the end of the handshake until they are made."""

    def __init__(self, run: Redirector, count: int, requested: bool = True):
        super().__init__(run.port)
        session = Session("1.3", padding=self.RECORD - RECORD_OVERHEAD)
        last = session.handshake(self.connection)
        self.data = session.key_updates(count, requested)
        handshakes = scrape(run)("tls_handshakes_total")
        self.connection.sendall(last)
        wait_for_count(run, "tls_handshakes_total", handshakes + 1)


class Renegotiations(TLSFlood):
    """A TLS 1.2 client's wishes to negotiate again."""

    def __init__(self, run: Redirector, count: int):
        super().__init__(run.port)
        session = Session("1.2")
        self.connection.sendall(session.handshake(self.connection))
        self.data = session.renegotiations(count, self.RECORD)


class Asking(threading.Thread):
    """An ordinary client: one request after the other on one connection, each answered with its own Location."""

    def __init__(self, run: Redirector, tls: ssl.SSLContext | None, name: str, times: int = 0):
        super().__init__(daemon=True, name=name)
        self.answers = 0
        self.failure: str | None = None
        self._times = times
        self._stopping = threading.Event()
        self._run, self._tls = run, tls

    def __enter__(self) -> "Asking":
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._stopping.set()
        self.join(120)

    def run(self):
        try:
            with Connection(self._run.port, tls=self._tls, seconds=60) as connection:
                while not self._stopping.is_set() and not 0 < self._times <= self.answers:
                    target = f"/v1/{self.name}/{self.answers}"
                    response = connection.request("GET", target)
                    assert response.status == 307 and response["Location"].endswith(target)
                    self.answers += 1
        except Exception as error:  # Whatever it is, it is a client that was not served.
            self.failure = f"{type(error).__name__}: {error}"

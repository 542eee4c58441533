"""Clients that take late, in small pieces, or have finished their side; and a process that stands still meanwhile."""

import contextlib
import dataclasses
import pathlib
import signal
import socket
import ssl

from .floods import connect
from .http import Connection
from .polling import wait_until
from .redirector import Redirector

_ESTABLISHED, _CLOSE_WAIT = "01", "08"


class Narrow(Connection):
    """A connection whose client's kernel takes a few KiB; the rest stays with the server until it is read."""

    def __init__(
        self, run: Redirector, tls: ssl.SSLContext | None = None, receive_buffer: int = 4096,
        segment: int = 536,
    ):
        self.leftover = b""
        self.socket = connect(run.port, receive_buffer, segment)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")


def finish(connection: Connection):
    """Shuts down the client's side, below TLS: it sends nothing more, and still reads."""
    socket.socket.shutdown(connection.socket, socket.SHUT_WR)


@contextlib.contextmanager
def standing_still(run: Redirector):
    """The process does nothing in here: what is sent to it is all in its kernel when it goes on."""
    run.signal(signal.SIGSTOP)
    wait_until("every thread to stop", lambda: all(_is_stopped(task) for task in _tasks(run)))
    try:
        yield
    finally:
        run.signal(signal.SIGCONT)


@dataclasses.dataclass(frozen=True)
class End:
    """One end of a TCP connection, as the kernel has it; None for the state of one that is gone."""

    state: str | None = None
    unsent: int = 0
    unread: int = 0


def server_end(run: Redirector, client: socket.socket) -> End:
    return _end(run, run.port, client.getsockname()[1])


def client_end(run: Redirector, client: socket.socket) -> End:
    return _end(run, client.getsockname()[1], run.port)


def wait_for_delivery(run: Redirector, client: socket.socket):
    """Until the server's kernel has all that the client sent."""
    wait_until("the server's kernel to take it", lambda: not client_end(run, client).unsent)


def wait_for_reading(run: Redirector, client: socket.socket):
    """Until the server has read all that a client sent who has finished, or reads no more: then the end is gone."""

    def is_read() -> bool:
        end = server_end(run, client)
        # The end of the stream counts as one byte.
        return end.state != _ESTABLISHED and end.unread <= 1 and not client_end(run, client).unsent

    wait_until("the server to read it", is_read)


def wait_for_goodbye(run: Redirector, client: socket.socket):
    """Until the server has shut down its side, which its client may not know yet."""
    open_still = (_ESTABLISHED, _CLOSE_WAIT)
    wait_until("the server's FIN", lambda: server_end(run, client).state not in open_still)


def _end(run: Redirector, local: int, remote: int) -> End:
    for row in pathlib.Path(f"/proc/{run.pid}/net/tcp").read_text().splitlines()[1:]:
        _, here, there, state, queues = row.split()[:5]
        if (int(here[-4:], 16), int(there[-4:], 16)) == (local, remote):
            unsent, unread = queues.split(":")
            return End(state, int(unsent, 16), int(unread, 16))
    return End()


def _tasks(run: Redirector) -> list[pathlib.Path]:
    return list(pathlib.Path(f"/proc/{run.pid}/task").iterdir())


def _is_stopped(task: pathlib.Path) -> bool:
    return (task / "stat").read_text().rpartition(")")[2].split()[0] == "T"

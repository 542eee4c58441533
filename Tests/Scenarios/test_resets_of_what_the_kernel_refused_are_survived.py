"""A client that resets while the kernel refuses a part of what it is sent: the process lives, at every stage."""

import contextlib
import socket

import pytest

from harness.authority import Authority, join
from harness.floods import connect, outlived_by, reset
from harness.http import Connection
from harness.metrics import wait_for_count
from harness.openssl import Session
from harness.tls import client_context

TIMES = 10
REQUESTS = 2000 * b"GET /v1/x HTTP/1.1\r\nHost: x\r\n\r\n"
SMALL = {"receive_buffer": 2048, "segment": 536}


def names(count: int) -> str:
    more = "".join(f",DNS:host-{number}.vault.example.com" for number in range(count))
    return f"basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost,IP:127.0.0.1{more}\n"


@pytest.fixture(scope="module", params=[0, 100, 1500])
def pair(request, tmp_path_factory):
    """A chain of about 1, 4 and 50 KB."""
    authority = Authority(tmp_path_factory.mktemp("authority") / "root")
    leaf = authority.issue(extensions=names(request.param))
    chain = join(authority.directory / "chain.pem", leaf.certificate, authority.certificate)
    return authority, chain, leaf.key


@pytest.fixture
def run(serving, pair):
    """With one worker."""
    _, chain, key = pair
    return serving("-c", chain, "-k", key, "--workers", "1", tls=False)


@contextlib.contextmanager
def survived(run, tls=None):
    """In the end it lives, all clients were accepted and are gone, and the next one is served."""
    with outlived_by(run):
        yield
        wait_for_count(run, "connections_accepted_total", TIMES, listener="public")
        wait_for_count(run, "connections_active", 1)
        with Connection(run.port, tls=tls, seconds=60) as connection:
            assert connection.request("GET", "/v1/x").status == 307
        assert run.stop(60) == 0


def begun(connection: socket.socket) -> socket.socket:
    """Once the server has begun to send: what the kernel takes is taken, and it has refused the rest."""
    assert connection.recv(1, socket.MSG_PEEK)
    return connection


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_in_the_servers_flight(run, pair, version):
    with survived(run, client_context(pair[0].certificate)):
        for _ in range(TIMES):
            connection = connect(run.port, **SMALL)
            connection.sendall(Session(version).hello())
            reset(begun(connection))


def test_in_several_flights_at_once(run, pair):
    with survived(run, client_context(pair[0].certificate)):
        connections = [connect(run.port, **SMALL) for _ in range(TIMES)]
        for connection in connections:
            connection.sendall(Session().hello())
        for connection in connections:
            begun(connection)
        for connection in connections:
            reset(connection)


def test_in_answers_over_tls(run, pair):
    with survived(run, client_context(pair[0].certificate)):
        for _ in range(TIMES):
            connection = connect(run.port, **SMALL)
            session = Session()
            last = session.handshake(connection)
            connection.sendall(last + session.sealed(REQUESTS))
            reset(begun(connection))


def test_in_answers_to_key_updates(run, pair):
    with survived(run, client_context(pair[0].certificate)):
        for _ in range(TIMES):
            connection = connect(run.port, **SMALL)
            session = Session()
            last = session.handshake(connection)
            # So many that it may be closed for it.
            with contextlib.suppress(ConnectionError):
                connection.sendall(last + session.key_updates(2000))
                connection.recv(1, socket.MSG_PEEK)
            reset(connection)


def test_in_answers_in_clear(serving):
    run = serving("--workers", "1", tls=False)
    with survived(run):
        for _ in range(TIMES):
            connection = connect(run.port, **SMALL)
            connection.sendall(REQUESTS)
            reset(begun(connection))


def test_in_a_refusal_in_clear(serving):
    """Behind answers that fill the queue, the connection ends of itself: something is refused even then."""
    run = serving("--workers", "1", tls=False)
    with survived(run):
        for _ in range(TIMES):
            connection = connect(run.port, **SMALL)
            connection.sendall(REQUESTS + b"GET / HTTP/4.0\r\n\r\n")
            reset(begun(connection))

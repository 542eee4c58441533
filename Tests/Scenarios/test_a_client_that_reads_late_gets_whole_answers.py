"""Answers that wait for a client with a small window arrive whole, whatever it has sent and whatever it still sends."""

import pytest

from harness.floods import connect
from harness.late import (
    Narrow, client_end, finish, wait_for_goodbye, wait_for_reading,
)
from harness.metrics import wait_for_count
from harness.openssl import Session

# A few of these are more than the client's window, and all of them less than what the server's kernel keeps for it:
# else the server would wait, and give up, before all is sent.
LONG = 1500 * "q"
TIMES = 6


def get(number: int, *fields: str) -> bytes:
    return "\r\n".join([f"GET /{LONG}{number} HTTP/1.1", "Host: x", *fields, "", ""]).encode()


def put(number: int, bytes: int, *fields: str) -> bytes:
    length = f"Content-Length: {bytes}"
    head = "\r\n".join([f"PUT /{LONG}{number} HTTP/1.1", "Host: x", length, *fields, "", ""])
    return head.encode() + bytes * b"b"


@pytest.fixture
def narrow(certificates, transport):
    context = certificates.client_context() if transport == "tls" else None
    return lambda run: Narrow(run, tls=context)


def take_answers(connection, count: int):
    """So many redirects, in order."""
    for number in range(count):
        response = connection.response()
        assert response.status == 307 and response["Location"].endswith(f"q{number}")


# What the server's kernel tells of the end while the body is read depends on when it comes: hence several of each.
@pytest.mark.parametrize("bytes", [150_000, 600_000])
def test_a_body_behind_the_end_that_was_asked_for(serving, narrow, transport, bytes):
    run = serving(tls=transport == "tls")
    for _ in range(TIMES):
        with narrow(run) as connection:
            connection.send(b"".join(map(get, range(15))) + put(15, bytes, "Connection: close"))
            finish(connection)
            wait_for_reading(run, connection.socket)
            take_answers(connection, 16)
            assert connection.read_to_end() == b""
    wait_for_count(run, "connections_active", 1)


def test_much_behind_a_refused_request(serving, narrow, transport):
    run = serving(tls=transport == "tls")
    for _ in range(TIMES):
        with narrow(run) as connection:
            connection.send(b"".join(map(get, range(15))) + b"BAD LINE\r\n\r\n" + 600_000 * b"z")
            finish(connection)
            wait_for_reading(run, connection.socket)
            take_answers(connection, 15)
            assert connection.response().status == 400
            assert connection.read_to_end() == b""


@pytest.mark.parametrize("more", [get(20), b"\r\n", put(20, 100_000)], ids=["get", "crlf", "put"])
def test_another_request_behind_the_last_one_allowed(serving, narrow, transport, more):
    run = serving("--max-requests-per-connection", "20", tls=transport == "tls")
    with narrow(run) as connection:
        connection.send(b"".join(map(get, range(20))))
        wait_for_goodbye(run, connection.socket)
        assert client_end(run, connection.socket).unread, "the client reads late"
        # The client does not know of the end yet.
        connection.send(more)
        take_answers(connection, 20)
        assert connection.read_to_end() == b""


def test_a_close_notify_before_the_answers_are_read(serving):
    run = serving()
    client, tls = connect(run.port, receive_buffer=4096, segment=536), Session("1.3")
    client.sendall(tls.handshake(client))
    requests = b"".join(map(get, range(19))) + get(19, "Connection: close")
    client.sendall(tls.sealed(requests))
    wait_for_goodbye(run, client)
    client.sendall(tls.goodbye())

    received = b""
    while data := tls.read(client):
        received += data
    assert received.count(b"HTTP/1.1 307 ") == received.count(b"\r\n\r\n") == 20
    assert received.endswith(b"\r\n\r\n")
    client.close()

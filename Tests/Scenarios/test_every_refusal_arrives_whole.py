"""A request that is refused gets its status, whole, and then a clean close: never a reset before the answer is read."""

import json
import socket

import pytest

from harness.http import Connection

HOST = b"Host: x\r\n"
REFUSALS = {
    "malformed method": (400, b"GE T / HTTP/1.1\r\n" + HOST + b"\r\n"),
    "obs-fold": (400, b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n c\r\n\r\n"),
    "bare LF": (400, b"GET / HTTP/1.1\n" + HOST + b"\r\n"),
    "bare CR": (400, b"GET / HTTP/1.1\r\nA: b\rc\r\n" + HOST + b"\r\n"),
    "NUL": (400, b"GET / HTTP/1.1\r\nA: \0\r\n" + HOST + b"\r\n"),
    "space before colon": (400, b"GET / HTTP/1.1\r\nHost : x\r\n\r\n"),
    "no Host": (400, b"GET / HTTP/1.1\r\n\r\n"),
    "two Hosts": (400, b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n"),
    "invalid Host": (400, b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    "two Content-Lengths": (
        400, b"PUT / HTTP/1.1\r\n" + HOST + 2 * b"Content-Length: 1\r\n" + b"\r\nx"),
    "Content-Length of letters": (
        400, b"PUT / HTTP/1.1\r\n" + HOST + b"Content-Length: 1x\r\n\r\nx"),
    "a negative Content-Length": (
        400, b"PUT / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n"),
    "Content-Length with Transfer-Encoding": (
        400, b"PUT / HTTP/1.1\r\n" + HOST
        + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "chunked, then another coding": (
        400, b"PUT / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, gzip\r\n\r\n"),
    "CONNECT": (405, b"CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n"),
    "a long target": (414, b"GET /" + 20_000 * b"x" + b" HTTP/1.1\r\n" + HOST + b"\r\n"),
    "an endless target": (414, b"GET /" + 200_000 * b"x"),
    "an expectation": (417, b"PUT / HTTP/1.1\r\n" + HOST + b"Expect: coffee\r\n\r\n"),
    "many fields": (431, b"GET / HTTP/1.1\r\n" + HOST + 101 * b"A: b\r\n" + b"\r\n"),
    "large fields": (431, b"GET / HTTP/1.1\r\n" + HOST + b"A: " + 40_000 * b"b" + b"\r\n\r\n"),
    "1 MiB of a field": (431, b"GET / HTTP/1.1\r\n" + HOST + b"A: " + (1 << 20) * b"b"),
    "1 MiB of fields": (431, b"GET / HTTP/1.1\r\n" + HOST + 100_000 * b"Abc: defg\r\n"),
    "a transfer coding": (
        501, b"PUT / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n"),
    "HTTP/2": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "HTTP/3": (505, b"GET / HTTP/3.0\r\n" + HOST + b"\r\n"),
    "no HTTP": (400, b"\x00\xff\x80 garbage \x01\r\n\r\n"),
    "64 KiB of zeros": (400, bytes(1 << 16)),
    "SSH": (400, b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refused(serving_once, dial, name):
    status, request = REFUSALS[name]
    with dial(serving_once, seconds=60) as connection:
        # A request that is answered comes first: the refusal comes behind its answer.
        connection.send(b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n" + request)
        assert connection.response().status == 307
        response = connection.response()
        assert response.status == status
        assert response["Connection"] == "close"
        [message] = json.loads(response.body)["errors"]
        assert message
        # close_notify and FIN, and not a reset: reading says the end.
        assert connection.read_to_end() == b""


@pytest.mark.parametrize("body", [
    b"5\r\nhelloX", b"zz\r\n", b"-5\r\nhello\r\n", b"\r\n", b"11111111111111111\r\n",
    b"5" + 20_000 * b";", b"0\r\nTrailer\0: x\r\n\r\n"])
def test_a_broken_chunk_ends_the_connection_after_the_answer(serving_once, dial, body):
    with dial(serving_once, seconds=60) as connection:
        connection.send(
            b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + body
            + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.response().status == 307
        assert connection.read_to_end() == b""


def test_plain_http_on_the_tls_port_is_told_so_in_clear(serving, vault):
    run = serving()
    for request in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"PUT /x HTTP/1.0\r\n\r\n" + 9999 * b"x"):
        with Connection(run.port) as connection:
            connection.send(request)
            response = connection.response()
            assert response.status == 400
            assert b"https://" in response.body
            assert connection.read_to_end() == b""


def test_garbage_on_the_tls_port_gets_an_alert_or_nothing(serving, dial):
    run = serving()
    for garbage in (b"\0" * 100, b"\x16\x03\x01\xff\xff" + 100 * b"x", b"\x80\x2e\x01\x00\x02", b"x"):
        with Connection(run.port) as connection:
            connection.send(garbage)
            try:
                connection.socket.shutdown(socket.SHUT_WR)
                assert connection.read_to_end()[:1] in (b"", b"\x15")
            except OSError:
                pass  # It was closed with our bytes unread.
    with dial(run) as connection:
        assert connection.request("GET", "/").status == 307

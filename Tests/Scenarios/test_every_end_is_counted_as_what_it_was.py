"""Refusals and ends at /metrics: a refusal under its reason and its method, an end under what the client had done."""

import ssl

import pytest

from harness.floods import reset
from harness.http import Connection
from harness.late import finish, standing_still
from harness.metrics import scrape, wait_for_count

HOST = b"Host: x\r\n"
CHUNKED = b"PUT /v1/x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
BAD_CHUNKS = {
    b"zz\r\n": "invalid_chunk_size",
    b"\r\n": "invalid_chunk_size",
    b"3\r\nabcX": "invalid_chunk_end",
    b"5" + 20_000 * b";": "chunk_size_line_too_long",
    b"0\r\n" + 40_000 * b"a": "trailer_too_long",
}
REFUSED = {
    "a field name": (400, b"Bad Name: y\r\n"),
    "no host": (400, b""),
    "large fields": (431, HOST + b"X: " + 40_000 * b"a" + b"\r\n"),
    "an expectation": (417, HOST + b"Expect: coffee\r\n"),
}


@pytest.mark.parametrize("body", BAD_CHUNKS, ids=range(len(BAD_CHUNKS)))
@pytest.mark.parametrize("pieces", [1, 2])
def test_a_bad_chunk(serving, dial, transport, body, pieces):
    run = serving(tls=transport == "tls")
    with dial(run, seconds=60) as connection:
        if pieces == 1:
            connection.send(CHUNKED + body)
        else:
            connection.send(CHUNKED)
            wait_for_count(run, "http_requests_total", 1, method="PUT")
            connection.send(body)
        assert connection.response().status == 307
        assert connection.read_to_end() == b""
    metrics = wait_for_count(run, "connections_closed_total", 1, reason="bad_request")
    assert metrics.nonzero("http_bad_requests_total", "reason") == {BAD_CHUNKS[body]: 1}
    assert metrics("http_requests_total", method="PUT") == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("fault", REFUSED)
def test_a_refusal_under_its_method(serving_once, dial, method, fault):
    code, fields = REFUSED[fault]
    labels = {"method": method, "code": str(code)}
    before = scrape(serving_once)("http_requests_total", **labels)
    with dial(serving_once, seconds=60) as connection:
        connection.send(f"{method} /v1/x HTTP/1.1\r\n".encode() + fields + b"\r\n")
        assert connection.response(to_head=method == "HEAD").status == code
        assert connection.read_to_end() == b""
    metrics = wait_for_count(serving_once, "http_requests_total", before + 1, **labels)
    assert metrics("http_requests_total", method="other") == 0


def test_a_body_that_is_announced_too_large(serving, dial, transport):
    run = serving("--max-body", "1000", tls=transport == "tls")
    with dial(run, seconds=60) as connection:
        connection.send(b"PUT /v1/x HTTP/1.1\r\n" + HOST + b"Content-Length: 1001\r\n\r\n")
        response = connection.response()
        assert (response.status, response["Connection"]) == (307, "close")
        assert connection.read_to_end() == b""
    metrics = wait_for_count(run, "connections_closed_total", 1, reason="body_too_large")
    assert set(metrics.nonzero("connections_closed_total", "reason")) <= {
        "body_too_large", "answered"}  # The scrapes are `answered`.


@pytest.fixture
def shake(certificates):
    """Does the client's handshake on a connection, up to its last flight and a request, which are given."""

    def shake(connection: Connection) -> bytes:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = certificates.client_context()
        client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                connection.send(outgoing.read())
                incoming.write(connection.socket.recv(65536))
        client.write(b"GET /v1/x HTTP/1.1\r\n" + HOST + b"\r\n")
        return outgoing.read()

    return shake


@pytest.mark.parametrize("count", [1, 3, 11, 100])
def test_a_part_of_a_hello_and_the_end(serving, certificates, count):
    run = serving()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = certificates.client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    with Connection(run.port, seconds=60) as connection:
        connection.send(outgoing.read()[:count])
        finish(connection)
        assert connection.read_to_end() == b""
    metrics = wait_for_count(run, "connections_closed_total", 1, reason="eof")
    assert metrics.closed("no_data") == 0


def test_a_reset_behind_a_finished_handshake(serving, shake):
    run = serving()
    connection = Connection(run.port, seconds=60)
    last = shake(connection)
    with standing_still(run):
        connection.send(last)
        reset(connection.socket)
    metrics = wait_for_count(run, "connections_closed_total", 1, reason="reset")
    assert metrics("tls_handshakes_total") == 1
    assert metrics("tls_handshake_failures_total") == 0


@pytest.mark.parametrize("part", [b"P", b"PROXY TCP4 192.0.2.", b"\r\n\r\n\0\r\nQUIT\n\x21\x11"])
def test_a_part_of_a_proxy_header_and_a_reset(serving, transport, part):
    run = serving(
        "--proxy-protocol", "any", "--proxy-protocol-from", "127.0.0.1", "--workers", "1",
        tls=transport == "tls")
    connection = Connection(run.port, seconds=60)
    connection.send(part)
    # Twice: what the first scrape's connection brings along may be seen before the part.
    for _ in range(2):
        scrape(run)
    reset(connection.socket)
    metrics = wait_for_count(run, "connections_closed_total", 1, reason="reset")
    assert metrics.closed("no_data") == 0

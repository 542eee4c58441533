"""Bodies of every size and pace: the 307 arrives, whoever reads it late."""

import pytest


@pytest.fixture
def connection(serving_once, dial):
    with dial(serving_once, seconds=60) as connection:
        yield connection


def test_10_mib_by_a_client_that_reads_only_at_the_end(connection):
    size = 10 << 20
    connection.send(b"PUT /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
    for _ in range(size >> 16):
        connection.send((1 << 16) * b"x")
    response = connection.response()
    assert (response.status, response["Connection"]) == (307, "close")
    assert connection.read_to_end() == b""


def test_10_mib_in_chunks_by_a_client_that_reads_only_at_the_end(connection):
    connection.send(b"PUT /v1/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(10 << 4):
        connection.send(b"10000\r\n" + (1 << 16) * b"x" + b"\r\n")
    connection.send(b"0\r\n\r\n")
    assert connection.response().status == 307
    assert connection.read_to_end() == b""


def test_expect_100_continue_gets_the_final_answer_at_once(connection):
    connection.send(
        b"PUT /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n"
        b"Expect: 100-continue\r\n\r\n")
    response = connection.response()
    assert (response.status, response["Connection"]) == (307, "close")
    assert connection.read_to_end() == b""


def test_expect_100_continue_from_a_client_that_does_not_wait(connection):
    connection.send(
        b"PUT /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"
        b"Expect: 100-continue\r\n\r\n" + 100_000 * b"x")
    assert connection.response().status == 307
    assert connection.read_to_end() == b""

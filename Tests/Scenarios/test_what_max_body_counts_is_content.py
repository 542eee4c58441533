"""--max-body is about content: how a client cuts it into chunks costs it no connection, within reason."""

from harness.http import Connection

MEBIBYTE = 1 << 20


def put(connection, size, total):
    """A PUT of `total` bytes in chunks of `size`."""
    chunk = b"%x\r\n%s\r\n" % (size, b"a" * size)
    connection.send(
        b"PUT /v1/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        + chunk * (total // size) + b"0\r\n\r\n")
    return connection.response()


def test_a_mebibyte_in_chunks_of_4_kib_keeps_the_connection(serving, dial, transport):
    run = serving(tls=transport == "tls")
    with dial(run, seconds=60) as connection:
        for _ in range(3):
            assert put(connection, 4096, MEBIBYTE).status == 307
        assert connection.request("GET", "/v1/after").status == 307


def test_a_byte_more_ends_it(serving, dial):
    run = serving("--max-body", str(MEBIBYTE - 1), tls=False)
    with dial(run, seconds=60) as connection:
        assert put(connection, 4096, MEBIBYTE).status == 307
        assert connection.read_to_end() == b""


def test_chunks_of_one_byte_are_no_way_round_it(serving):
    run = serving(tls=False)
    with Connection(run.port, seconds=60) as connection:
        try:
            assert put(connection, 1, MEBIBYTE // 2).status == 307
            assert connection.read_to_end() == b""
        except ConnectionError:
            pass  # It closed while we were still sending.

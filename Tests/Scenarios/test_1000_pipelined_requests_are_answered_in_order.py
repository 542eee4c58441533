"""1,000 requests in one write: 1,000 answers, in order, on the same connection."""


def test_in_one_write(serving_once, dial, vault):
    with dial(serving_once, seconds=60) as connection:
        for _ in range(3):
            connection.send(b"".join(
                b"GET /v1/%d?n HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(1000)))
            for number in range(1000):
                assert connection.response()["Location"] == f"{vault.origin}/v1/{number}?n"


def test_byte_by_byte(serving_once, dial, vault):
    requests = b"".join(
        b"PUT /v1/%d HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" % number
        for number in range(5))
    with dial(serving_once, seconds=60) as connection:
        for byte in requests:
            connection.send(bytes([byte]))
        for number in range(5):
            assert connection.response()["Location"] == f"{vault.origin}/v1/{number}"


def test_the_last_of_them_may_ask_to_close(serving_once, dial):
    one = b"GET / HTTP/1.1\r\nHost: x\r\n"
    with dial(serving_once, seconds=60) as connection:
        connection.send(
            500 * (one + b"\r\n") + one + b"Connection: close\r\n\r\n" + 500 * (one + b"\r\n"))
        for _ in range(501):
            assert connection.response().status == 307
        assert connection.read_to_end() == b""

"""What a new TLS connection costs in segments: the server's flight, and all the rest together."""

import socket

from harness.openssl import Session

REQUEST = b"GET /v1/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
# tcpi_data_segs_in of struct tcp_info (linux/tcp.h).
DATA_SEGMENTS_IN = slice(152, 156)


def data_segments(connection: socket.socket) -> int:
    information = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, DATA_SEGMENTS_IN.stop)
    return int.from_bytes(information[DATA_SEGMENTS_IN], "little")


def test_a_request_together_with_the_last_flight(serving):
    session = Session("1.3")
    with socket.create_connection(("127.0.0.1", serving("--workers", "1").port), timeout=60) as connection:
        connection.sendall(session.handshake(connection) + session.sealed(REQUEST))
        received = b""
        while not received.endswith(b"\r\n\r\n"):
            received += session.read(connection)
        assert received.startswith(b"HTTP/1.1 307 ")
        assert session.read(connection) == b""
        assert data_segments(connection) == 2

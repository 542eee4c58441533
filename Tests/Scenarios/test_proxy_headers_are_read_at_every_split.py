"""PROXY v1 and v2, in front of TLS and in clear, cut in two at every byte: the client is who the header says."""

import re

import pytest

from harness.http import Connection
from harness.metrics import wait_for_count
from harness.proxy import LOCAL, TCP6, UNSPEC, tlv, v1, v2

VPC_ENDPOINT = tlv(0xEA, b"\x01vpce-0123456789abcdef0")

HEADERS = {
    "v1-tcp4": (v1(), "192.0.2.7:5678", ("1", "proxy")),
    "v1-tcp6": (v1("2001:db8::7"), "[2001:db8::7]:5678", ("1", "proxy")),
    "v1-unknown": (b"PROXY UNKNOWN\r\n", None, ("1", "unknown")),
    "v2-tcp4": (v2(), "192.0.2.7:5678", ("2", "proxy")),
    "v2-tcp6": (v2(family=TCP6, source="2001:db8::7"), "[2001:db8::7]:5678", ("2", "proxy")),
    "v2-tlvs-and-checksum": (
        v2(tlvs=VPC_ENDPOINT + tlv(4, b"pad"), checksum=True), "192.0.2.7:5678", ("2", "proxy")),
    "v2-local": (v2(LOCAL, UNSPEC), None, ("2", "local")),
    "v2-local-with-length": (v2(LOCAL, UNSPEC, tlvs=tlv(4, 50 * b"x")), None, ("2", "local")),
    "v2-unspecified": (v2(family=UNSPEC, tlvs=tlv(4, b"x")), None, ("2", "unknown")),
}


def ask_after(run, header, split, tls):
    """Sends the header in two parts, and a request; another connection gives the server the time to see the first."""
    connection = Connection(run.port, seconds=60)
    if split:
        connection.send(header[:split])
    if 0 < split < len(header):
        Connection(run.port).socket.close()
    request = b"GET /v1/x HTTP/1.1\r\nHost: x\r\n\r\n"
    if tls:
        connection.send(header[split:])
        connection.socket = tls.wrap_socket(connection.socket, server_hostname="localhost")
        connection.send(request)
    else:
        connection.send(header[split:] + request)
    with connection:
        response = connection.response()
        return response.status


@pytest.mark.parametrize("name", HEADERS)
def test_every_split(serving, certificates, transport, name):
    header, client, (version, command) = HEADERS[name]
    tls = certificates.client_context() if transport == "tls" else None
    run = serving(
        "--proxy-protocol", "any", "--proxy-protocol-from", "127.0.0.0/8", "--access-log", "on",
        tls=bool(tls))
    splits = range(0, len(header) + 1)
    for split in splits:
        assert ask_after(run, header, split, tls) == 307, f"split at {split}"
    wait_for_count(
        run, "proxy_protocol_headers_total", len(splits), version=version, command=command,
        result="accepted")
    assert run.stop() == 0  # Every line is written.
    lines = [line for line in run.lines if "path=/v1/x" in line]
    assert len(lines) == len(splits)
    for line in lines:
        shown = re.search(r' client="?([^" ]+)', line)[1]
        if client:
            assert shown == client
            assert re.search(r" lb=127\.0\.0\.1:\d+", line)
        else:
            assert shown.startswith("127.0.0.1:")
            assert " lb=" not in line
        assert ("vpce=vpce-0123456789abcdef0" in line) is ("tlvs" in name)

"""A PROXY header that is missing, broken or from a stranger: closed without an answer, and seen at /metrics."""

import time

import pytest

from harness.http import Connection
from harness.metrics import scrape, wait_for_count
from harness.proxy import LOCAL, PROXY, SIGNATURE, TCP6, tlv, v1, v2

HELLO = bytes.fromhex("16030100c8010000c40303") + 100 * b"\0"

FAULTS = [
    ("any", HELLO, "looks_like_tls"),
    ("any", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "looks_like_http"),
    ("any", b"ehlo mail.example.com\r\n", "not_proxy_header"),
    ("any", bytes(64), "not_proxy_header"),
    ("v1", v2(), "wrong_version"),
    ("v2", v1(), "wrong_version"),
    ("any", b"PROXY TCP4 " + 200 * b"1", "too_long"),
    ("any", SIGNATURE + b"\x21\x11\xff\xff" + 5000 * b"\0", "too_long"),
    ("any", b"PROXY TCP4  192.0.2.7 192.0.2.8 1 2\r\n", "malformed_line"),
    ("any", b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2\n" + 80 * b" ", "malformed_line"),
    ("any", b"PROXY UDP4 192.0.2.7 192.0.2.8 1 2\r\n", "malformed_line"),
    ("any", b"PROXY TCP4 192.0.2.256 192.0.2.8 1 2\r\n", "invalid_address"),
    ("any", b"PROXY TCP4 2001:db8::7 192.0.2.8 1 2\r\n", "invalid_address"),
    ("any", b"PROXY TCP4 192.0.2.7 192.0.2.8 65536 2\r\n", "invalid_port"),
    ("any", b"PROXY TCP4 192.0.2.7 192.0.2.8 01 2\r\n", "invalid_port"),
    ("any", v2(0x22), "unknown_command"),
    ("any", v2(0x31), "unknown_command"),
    ("any", v2(PROXY, 0x41), "unknown_family"),
    ("any", v2(PROXY, 0x13), "unknown_family"),
    ("any", SIGNATURE + b"\x21\x11\x00\x0b" + 11 * b"\0", "short_addresses"),
    ("any", SIGNATURE + b"\x21\x21\x00\x0c" + 12 * b"\0", "short_addresses"),
    ("any", v2(tlvs=b"\x04\x00\x09x"), "malformed_tlv"),
    ("any", v2(tlvs=b"\x04"), "malformed_tlv"),
    ("any", v2(checksum=1), "wrong_checksum"),
    ("any", v2(family=TCP6, source="2001:db8::7", checksum=0x10000), "wrong_checksum"),
    ("any", v2(tlvs=tlv(0xEA, b"\x01vpce 1")), "invalid_endpoint_id"),
]


def closed_without_answer(connection):
    try:
        return connection.read_to_end() == b""
    except ConnectionResetError:
        return True  # It closed with our bytes unread: an answer is not due.


@pytest.mark.parametrize("mode", ["any", "v1", "v2"])
def test_every_fault(serving, transport, mode):
    began = time.monotonic()
    run = serving(
        "--proxy-protocol", mode, "--proxy-protocol-from", "127.0.0.1", "--workers", "1",
        tls=transport == "tls")
    expected = {}
    for wanted, data, fault in FAULTS:
        if wanted != mode:
            continue
        with Connection(run.port) as connection:
            connection.send(data)
            assert closed_without_answer(connection), fault
        expected[fault] = expected.get(fault, 0) + 1
        wait_for_count(run, "proxy_protocol_headers_total", expected[fault], result=fault)
    metrics = scrape(run)
    assert metrics.nonzero("proxy_protocol_headers_total", "result") == expected
    assert metrics.closed("proxy_header") == sum(expected.values())
    # A line says which; the others are held back for ten seconds, and counted in the next one.
    run.wait_for_line("PROXY header refused")
    passed = time.monotonic() - began
    assert len([line for line in run.lines if "PROXY header refused" in line]) <= 1 + passed / 10


def test_a_stranger_is_refused_whatever_it_sends(serving, transport):
    run = serving(
        "--proxy-protocol", "any", "--proxy-protocol-from", "10.0.0.0/8,192.0.2.1",
        "--workers", "1", tls=transport == "tls")
    for number, data in enumerate((v1(), v2(), v2(LOCAL, 0), b""), start=1):
        with Connection(run.port) as connection:
            try:
                connection.send(data)
            except ConnectionError:
                continue
            assert closed_without_answer(connection)
        wait_for_count(run, "connections_rejected_total", number, reason="proxy_source")
    assert not scrape(run).nonzero("proxy_protocol_headers_total", "result")
    assert "peer=127.0.0.1:" in run.wait_for_line("--proxy-protocol-from")


def test_a_second_header_is_no_request(serving):
    run = serving("--proxy-protocol", "any", "--proxy-protocol-from", "127.0.0.1", tls=False)
    with Connection(run.port) as connection:
        connection.send(v2() + v1() + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.response().status == 400

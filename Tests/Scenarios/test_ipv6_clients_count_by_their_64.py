"""--max-connections-per-ip: all addresses of an IPv6 /64 are one client's; of IPv4 each address is."""

import contextlib

import pytest

from harness.http import Connection, ConnectionEnded
from harness.metrics import wait_for_count
from harness.proxy import PROXY, TCP6, v1, v2

REQUEST = b"GET /v1/x HTTP/1.1\r\nHost: x\r\n\r\n"

HEADERS = {
    "v1": v1,
    "v2": lambda source: v2(PROXY, TCP6 if ":" in source else 0x11, source),
}


@pytest.fixture
def run(serving):
    return serving(
        "--proxy-protocol", "any", "--proxy-protocol-from", "127.0.0.0/8",
        "--max-connections-per-ip", "2", "--workers", "2", tls=False)


def ask(run, header: bytes) -> Connection | None:
    """A connection whose request was answered; None where it was closed instead."""
    connection = Connection(run.port, seconds=60)
    try:
        connection.send(header + REQUEST)
        assert connection.response().status == 307
        return connection
    except (ConnectionEnded, ConnectionError):
        connection.socket.close()


def rejected(run, count: int):
    wait_for_count(run, "connections_rejected_total", count, reason="address_limit")


@pytest.mark.parametrize("version", HEADERS)
def test_one_64_is_one_client(run, version):
    header = HEADERS[version]
    first = ask(run, header("2001:db8:1:2::1"))
    second = ask(run, header("2001:db8:1:2:ffff:ffff:ffff:ffff"))
    assert first and second
    assert ask(run, header("2001:db8:1:2::3")) is None
    assert ask(run, header("2001:db8:1:2:8000::")) is None
    rejected(run, 2)
    # A place is given back by whoever of them goes.
    second.socket.close()
    wait_for_count(run, "connections_active", 2)
    third = ask(run, header("2001:db8:1:2:abcd::4"))
    assert third
    assert ask(run, header("2001:db8:1:2:abcd::5")) is None
    rejected(run, 3)


@pytest.mark.parametrize("version", HEADERS)
def test_the_next_64_is_another_client(run, version):
    header = HEADERS[version]
    with contextlib.ExitStack() as stack:
        for network in ("2001:db8:1:2", "2001:db8:1:3", "2001:db8:9:2", "2001:db9:1:2"):
            for host in (1, 2):
                assert stack.enter_context(ask(run, header(f"{network}::{host}")))
        rejected(run, 0)


@pytest.mark.parametrize("form", ["192.0.2.{}", "::ffff:192.0.2.{}"])
def test_each_ipv4_address_is_a_client(run, form):
    """Also where it is written as an IPv6 one: all of those are in one /64."""
    with contextlib.ExitStack() as stack:
        for host in range(1, 11):
            for _ in range(2):
                assert stack.enter_context(ask(run, v1(form.format(host))))
        assert ask(run, v1("192.0.2.1")) is None
        rejected(run, 1)


def test_each_ipv4_address_is_a_client_on_a_socket_of_both_families(redirector):
    run = redirector("--vault-addr", "https://127.0.0.1:1", "--max-connections-per-ip", "1")
    with contextlib.ExitStack() as stack:
        for source in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
            connection = stack.enter_context(Connection(run.port, source=source, seconds=60))
            assert connection.request("GET", "/v1/x").status == 503

"""Every address of both families by default; --bind for others, as many as there are."""

import contextlib

import pytest

from harness.http import Connection
from harness.ports import Port

CONSUL = "127.0.0.1:1"


def status(port, host):
    with Connection(port, host=host) as connection:
        return connection.request("GET", "/").status


def test_the_default_takes_both_families(redirector):
    run = redirector(CONSUL)
    assert [listener.address for listener in run.listeners] == ["::"]
    assert status(run.port, "127.0.0.1") == status(run.port, "::1") == 503


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_one_address_takes_no_other(redirector, address):
    run = redirector("--bind", address, CONSUL)
    assert [listener.address for listener in run.listeners] == [address]
    assert status(run.port, address) == 503
    other = {"127.0.0.1": "::1", "::1": "127.0.0.1"}[address]
    with pytest.raises(ConnectionRefusedError):
        Connection(run.port, host=other)


def test_several_addresses_on_one_port(redirector):
    addresses = ["127.0.0.1", "127.0.0.2", "::1"]
    with contextlib.closing(Port(*addresses)) as kept:
        port = kept.number
        run = redirector(
            *[word for address in addresses for word in ("--bind", address)], "-P", port, CONSUL,
            listeners=3)
        assert [(one.address, one.port) for one in run.listeners] == [(a, port) for a in addresses]
        assert [status(port, address) for address in addresses] == [503, 503, 503]


def test_ipv6_any_alone_takes_no_ipv4(redirector):
    run = redirector("--bind", "::", CONSUL)
    assert status(run.port, "::1") == 503
    with pytest.raises(ConnectionRefusedError):
        Connection(run.port, host="127.0.0.1")

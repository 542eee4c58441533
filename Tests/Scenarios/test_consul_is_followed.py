"""A recorded failover of a real Consul, its errors, and its absence: whom a client is sent to meanwhile."""

import pathlib
import time

import pytest

from harness.consul import StandInConsul, entry
from harness.http import Connection
from harness.polling import wait_until

TRACES = pathlib.Path(__file__).parents[1] / "DiscoveryTests" / "Fixtures" / "consul"
FAILOVER = ["a"] + [None] * 2 + ["b"] * 4 + [None] * 2 + ["a"] * 6 + [None] * 3 + ["b"] * 4
ERRORS = sorted(p.stem for p in (TRACES / "errors").glob("*.http") if p.stem != "anonymous-filtered")
PORTS = {"a": "http://vault-a:8200", "b": "http://vault-b:8200"}


@pytest.fixture
def consul():
    with StandInConsul() as consul:
        yield consul


@pytest.fixture
def run(redirector, consul):
    return redirector("--bind", "127.0.0.1", consul.address)


@pytest.fixture
def location(run):
    """Whom a client is sent to, as scheme://host:port; None for a 503."""
    with Connection(run.port) as connection:

        def ask() -> str | None:
            response = connection.request("GET", "/v1/x")
            if response.status == 503:
                return None
            assert response.status == 307
            return response["Location"].removesuffix("/v1/x")

        yield ask


def answered(consul: StandInConsul):
    """Waits until the answer that was set is delivered: the next query blocks on its index."""
    index = str(consul.index)
    wait_until("the next query", lambda: consul.requests and consul.requests[-1].query.get("index") == index)


def test_a_failover_answer_by_answer(consul, location):
    for number, node in enumerate(FAILOVER, start=1):
        consul.replay(TRACES / "failover" / f"{number:03}.http")
        answered(consul)
        assert location() == (PORTS[node] if node else None), f"after {number:03}.http"


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_keeps_the_last_node(consul, run, location, name):
    consul.replay(TRACES / "failover" / "001.http")
    wait_until("the first redirect", lambda: location() == PORTS["a"])
    consul.fail_with(TRACES / "errors" / f"{name}.http")
    run.wait_for_line("consul does not answer")
    assert location() == PORTS["a"]
    consul.replay(TRACES / "failover" / "004.http")
    wait_until("the redirect to follow", lambda: location() == PORTS["b"])


def test_an_empty_answer_is_a_fact(consul, run, location):
    consul.replay(TRACES / "failover" / "001.http")
    wait_until("the first redirect", lambda: location() == PORTS["a"])
    consul.fail_with(TRACES / "errors" / "anonymous-filtered.http")
    wait_until("503", lambda: location() is None)
    run.wait_for_line("service:read and node:read")


@pytest.mark.parametrize("fault", ["reset", "truncate", "huge", "nested", "html", "gzip", "refuse"])
def test_a_fault_keeps_the_last_node(consul, run, location, fault):
    consul.set([entry("vault-a")])
    wait_until("the first redirect", lambda: location() == PORTS["a"])
    getattr(consul, fault)()
    run.wait_for_line("consul does not answer")
    assert location() == PORTS["a"]
    if fault == "refuse":
        consul.start()
    consul.set([entry("vault-b")])
    wait_until("the redirect to follow", lambda: location() == PORTS["b"])
    run.wait_for_line("consul answers again")


def test_one_connection_carries_every_query_with_the_token(redirector, consul):
    consul.set([entry("vault-a")])
    environment = {"CONSUL_HTTP_TOKEN": "s.secret"}
    run = redirector("--bind", "127.0.0.1", consul.address, environment=environment)
    for turn in range(5):
        answered(consul)
        consul.set([entry(f"vault-{turn}")])
    answered(consul)
    assert {request.connection for request in consul.requests} == {1}
    assert {request.fields["x-consul-token"] for request in consul.requests} == {"s.secret"}
    assert "s.secret" not in "\n".join(run.lines)


def test_a_held_query_does_not_delay_the_end(consul, run, location):
    consul.set([entry("vault-a")])
    wait_until("the first redirect", lambda: location() == PORTS["a"])
    answered(consul)
    before = time.monotonic()
    assert run.stop() == 0
    assert time.monotonic() - before < 10

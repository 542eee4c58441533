"""GET and HEAD /vault-redirector-health, with any query: the seed's keys, true to the status."""

import json
import re

import pytest

from harness.consul import StandInConsul, entry
from harness.polling import wait_until

PATH = "/vault-redirector-health"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
SEED_KEYS = {
    "healthy", "application", "version", "source", "consul_host_port", "active_vault",
    "last_consul_poll"}


@pytest.fixture
def consul():
    with StandInConsul() as consul:
        yield consul


def health(connection, query=""):
    response = connection.request("GET", PATH + query)
    assert response["Content-Type"] == "application/json"
    document = json.loads(response.body)
    assert SEED_KEYS | {"since", "discovery"} <= set(document)
    assert document["healthy"] is (response.status == 200)
    assert document["application"] == "vault-redirector"
    return response.status, document


def test_it_follows_consul(redirector, dial, consul):
    run = redirector("--bind", "127.0.0.1", "-S", consul.address)
    with dial(run) as connection:
        asked = lambda: json.loads(connection.request("GET", PATH).body)["last_consul_poll"]
        wait_until("an answer of Consul", asked)
        status, document = health(connection)
        assert status == 503
        assert document["active_vault"] is None
        assert document["consul_host_port"] == consul.address

        consul.set([entry("vault-a")])
        wait_until("health", lambda: health(connection)[0] == 200)
        _, document = health(connection)
        assert "vault-a" in document["active_vault"]
        assert TIME.fullmatch(document["last_consul_poll"])
        assert TIME.fullmatch(document["since"])
        assert document["discovery"]["state"] == "current"
        assert document["discovery"]["age_seconds"] >= 0

        consul.status(500, "No cluster leader")
        failed = lambda: health(connection)[1]["discovery"]["last_error"]
        assert "500" in wait_until("the error", failed)
        assert health(connection)[0] == 200  # What is known is kept.


def test_every_way_to_ask(serving, dial, transport):
    with dial(serving(tls=transport == "tls")) as connection:
        assert health(connection)[0] == 200
        for query in ("?", "?x=1", "?a/b?c"):
            assert health(connection, query)[0] == 200
        head = connection.request("HEAD", PATH)
        assert (head.status, head.body) == (200, b"")
        assert int(head["Content-Length"]) > 100
        assert health(connection)[1]["consul_host_port"] is None


def test_it_is_only_read(serving, dial):
    with dial(serving(tls=False)) as connection:
        for method in ("POST", "PUT", "DELETE", "LIST"):
            response = connection.request(method, PATH)
            assert (response.status, response["Allow"]) == (405, "GET, HEAD")


def test_what_only_looks_like_it_is_redirected(serving, dial, vault):
    with dial(serving(tls=False)) as connection:
        for method, target in (
            ("GET", PATH + "/"), ("POST", PATH + "/"), ("GET", "/x" + PATH), ("GET", PATH + "%20"),
            ("GET", "/v1" + PATH),
        ):
            response = connection.request(method, target)
            assert (response.status, response["Location"]) == (307, vault.origin + target)

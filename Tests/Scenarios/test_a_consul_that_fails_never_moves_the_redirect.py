"""Errors, broken bodies and silence keep the last node and say why; the next good answer is followed."""

import pytest

from harness.consul import StandInConsul, entry

# What Consul does, and what the log calls it.
FAULTS = {
    "400": (lambda consul: consul.status(400, "Invalid index"), "status 400: Invalid index"),
    "403": (lambda consul: consul.status(403, "ACL not found"), "status 403: ACL not found"),
    "404": (lambda consul: consul.status(404), "status 404"),
    "429, then close": (
        lambda consul: consul.status(429, "too many connections", Connection="close"),
        "status 429: too many connections"),
    "500": (lambda consul: consul.status(500, "No cluster leader"), "status 500: No cluster leader"),
    "503": (lambda consul: consul.status(503, "Unavailable"), "status 503"),
    "reset in the body": (StandInConsul.reset, "reset"),
    "end in the body": (StandInConsul.truncate, "127.0.0.1"),
    "50 MiB": (StandInConsul.huge, "exceeded"),
    "nesting of 10,000": (StandInConsul.nested, "nested deeper than 32"),
    "a page": (StandInConsul.html, "not JSON"),
    "an object": (lambda consul: consul.body(b"{}"), "not a list of service instances"),
    "strange types": (
        lambda consul: consul.body(b'[{"Node":7,"Service":[]}]'), "not a list of service instances"),
    "gzip": (StandInConsul.gzip, "Content-Encoding gzip"),
    "a redirect": (
        lambda consul: consul.status(301, Location="http://127.0.0.1:1/"),
        "redirects are not followed"),
    "control characters": (
        lambda consul: consul.status(500, "a\x1b[31m\r\nts=1 level=info msg=forged"), "status 500: a"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_last_node_stays(watch, consul, name):
    fault, words = FAULTS[name]
    consul.set([entry("vault-a")])
    watching = watch()
    watching.follow("vault-a")

    # The query that is out gets the fault, and so does the one that repeats it at once.
    watching.hear(fault, consul)
    assert watching.node() == "vault-a"
    line = watching.run.wait_for_line("consul does not answer")
    assert words.lower() in line.lower()
    assert "kept=https://vault-a:8200" in line.replace('"', "")
    status, document = watching.health()
    assert status == 200
    assert document["discovery"]["state"] == "silent"
    assert words.lower() in document["discovery"]["last_error"].lower()
    assert watching.metrics()("discovery_stale") == 1

    consul.set([entry("vault-b")])
    watching.follow("vault-b")
    watching.run.wait_for_line("consul answers again")
    assert watching.metrics()("discovery_stale") == 0
    assert not any("msg=forged" in line.split(" level=warning")[0] for line in watching.run.lines)


def test_a_redirect_is_not_followed(watch, consul):
    consul.set([entry("vault-a")])
    with StandInConsul() as other:
        other.set([entry("evil")])
        watching = watch()
        watching.follow("vault-a")
        place = f"http://{other.address}/v1/health/service/vault"
        watching.hear(consul.status, 307, Location=place)
        assert watching.node() == "vault-a"
        assert other.requests == []


def test_a_refused_connection(watch, consul):
    consul.set([entry("vault-a")])
    watching = watch()
    watching.follow("vault-a")
    consul.refuse()
    watching.run.wait_for_line("consul does not answer")
    assert watching.node() == "vault-a"

    consul.set([entry("vault-b")])
    consul.start()
    watching.follow("vault-b")


def test_a_hang_delays_no_client(watch, consul):
    # Without an index nothing blocks, and a question may take 10 seconds.
    consul.set([entry("vault-a")], X_Consul_Index=None)
    watching = watch("-p", "0.1")
    watching.follow("vault-a")
    # Not until it is heard of: that takes those ten seconds.
    seen = len(consul.requests)
    consul.hang()
    consul.wait_for_requests(seen + 1)
    assert watching.node() == "vault-a"
    consul.set([entry("vault-b")])
    watching.follow("vault-b")
    assert "timed out" in watching.run.wait_for_line("consul does not answer").lower()

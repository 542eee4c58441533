"""While Consul is down the last node serves, its age shown, until --stale-limit; then 503 until it is back."""

import pytest

from harness.consul import entry
from harness.polling import wait_until


LIMIT = 8  # seconds, enough to look around before it on a busy machine


def age(watching) -> int:
    return watching.health()[1]["discovery"]["age_seconds"]


def test_until_the_limit(watch, consul):
    consul.set([entry("vault-a")])
    watching = watch("--stale-limit", LIMIT, "--health-grace", "0")
    watching.follow("vault-a")
    consul.refuse()
    watching.run.wait_for_line("consul does not answer")
    assert watching.node() == "vault-a"
    wait_until("age", lambda: age(watching) >= 1)
    status, document = watching.health()
    assert (status, document["discovery"]["state"]) == (200, "silent")
    assert watching.metrics()("discovery_stale") == 1

    watching.follow(None)
    assert age(watching) >= LIMIT
    status, document = watching.health()
    assert (status, document["discovery"]["state"]) == (503, "expired")
    assert document["active_vault"] is None
    watching.run.wait_for_line("silent for longer than the stale limit")

    consul.set([entry("vault-b")])
    consul.start()
    watching.follow("vault-b")
    assert watching.health()[1]["discovery"]["state"] == "current"
    watching.run.wait_for_line("to=https://vault-b")  # It comes after the line that says so.
    assert sum("consul answers again" in line for line in watching.run.lines) == 1


def test_for_ever_at_zero(watch, consul):
    consul.set([entry("vault-a")])
    watching = watch("--stale-limit", "0")
    watching.follow("vault-a")
    consul.refuse()
    watching.run.wait_for_line("consul does not answer")
    wait_until("age", lambda: age(watching) >= 2)
    assert watching.node() == "vault-a"


@pytest.mark.parametrize("grace, status", [("60", 200), ("0", 503)])
def test_health_has_patience_with_an_election(watch, consul, grace, status):
    watching = watch("--health-grace", grace)
    consul.wait_for_requests(2)
    # Nobody was ever active: that is no election.
    assert watching.health()[0] == 503

    consul.set([entry("vault-a")])
    watching.follow("vault-a")
    assert "in_grace" not in watching.health()[1]
    consul.set([entry("vault-a", tags=("standby",))])
    watching.follow(None)
    found, document = watching.health()
    assert (found, document["healthy"]) == (status, status == 200)
    assert document.get("in_grace", False) is (status == 200)
    assert document["active_vault"] is None


def test_its_patience_has_an_end(watch, consul):
    consul.set([entry("vault-a")])
    watching = watch("--health-grace", "1")
    watching.follow("vault-a")
    consul.set([])
    watching.follow(None)
    wait_until("503", lambda: watching.health()[0] == 503)
    assert "in_grace" not in watching.health()[1]

"""--verify-target: Consul proposes, and only a node that says 200 over verified TLS is adopted."""

import pytest

from harness.certs import Certificates
from harness.consul import entry
from harness.polling import wait_until
from harness.vault import StandInVault

STANDBY = ("standby", "initialized")


@pytest.fixture
def a(certificates):
    with StandInVault(certificates) as vault:
        yield vault


@pytest.fixture
def b(certificates):
    with StandInVault(certificates) as vault:
        yield vault


@pytest.fixture
def verifying(watch, certificates):
    def start(*arguments):
        return watch(
            "-I", "--verify-target", "--vault-cacert", certificates.ca, "--probe-interval", "0.2",
            *arguments)

    return start


def at(vault: StandInVault, name: str, **options) -> dict:
    return entry(name, port=vault.port, **options)


def goes_to(watching, vault: StandInVault | None):
    origin = vault and vault.origin
    wait_until(f"the redirect to {origin}", lambda: watching.origin() == origin)


def test_only_one_that_says_it_is_active(verifying, consul, a):
    a.status = 429
    consul.set([at(a, "vault-a")])
    watching = verifying()
    wait_until("probes", lambda: a.requests >= 3)
    assert watching.origin() is None
    a.status = 200
    goes_to(watching, a)
    a.status = 503
    goes_to(watching, None)


def test_only_over_tls_that_is_verified(watch, consul, certificates, a, tmp_path):
    other = Certificates.make(tmp_path / "other")
    consul.set([at(a, "vault-a")])
    watching = watch("-v", "-I", "--verify-target", "--vault-cacert", other.ca)
    watching.run.wait_for_line(
        lambda line: "vault node changed state" in line and "untrusted" in line)
    assert watching.origin() is None
    assert a.requests == 0


@pytest.mark.parametrize("newer", ["liar", "honest"])
def test_in_a_split_the_one_that_says_200(verifying, consul, a, b, newer):
    a.status = 429
    consul.set([
        at(a, "liar", modify_index=20 if newer == "liar" else 10),
        at(b, "honest", modify_index=20 if newer == "honest" else 10)])
    watching = verifying()
    goes_to(watching, b)
    watching.run.wait_for_line("several nodes are active in consul")
    assert watching.metrics()("active_candidates") == 1

    # The other way round, by the nodes' own word alone.
    b.status = 429
    a.status = 200
    goes_to(watching, a)


def test_a_new_one_is_adopted_when_it_is_ready(verifying, consul, a, b):
    b.status = 429
    consul.set([at(a, "vault-a"), at(b, "vault-b", tags=STANDBY)])
    watching = verifying()
    goes_to(watching, a)

    # Consul is early: who is active says so himself.
    watching.hear(
        consul.set, [at(a, "vault-a", tags=STANDBY), at(b, "vault-b", modify_index=20)])
    seen = b.requests
    wait_until("probes", lambda: b.requests >= seen + 3)
    assert watching.origin() == a.origin
    a.status, b.status = 429, 200
    goes_to(watching, b)


def test_while_consul_is_silent_the_nodes_own_word_moves_us(verifying, consul, a, b):
    b.status = 429
    consul.set([at(a, "vault-a"), at(b, "vault-b", tags=STANDBY)])
    watching = verifying("--stale-limit", "2")
    goes_to(watching, a)
    consul.refuse()
    watching.run.wait_for_line("consul does not answer")
    a.status, b.status = 429, 200
    goes_to(watching, b)
    assert watching.health()[1]["discovery"]["state"] == "silent"

    # The nodes still answer: the limit on what is stale does not count.
    wait_until("the limit to be over", lambda: watching.health()[1]["discovery"]["age_seconds"] > 2)
    assert watching.origin() == b.origin
    b.status = 503
    goes_to(watching, None)
    a.status = 200
    goes_to(watching, a)

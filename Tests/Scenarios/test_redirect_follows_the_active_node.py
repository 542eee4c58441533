"""A real cluster, `--vault-addr` for each of its nodes: the redirect names the one that is active."""

import pytest

from harness.http import Connection
from harness.openbao import Node
from harness.polling import wait_until


@pytest.fixture
def location(redirector, cluster, certificates):
    """Asks a redirector of this cluster over one TLS connection for a Location; None for a 503."""
    addresses = [word for node in cluster.nodes for word in ("--vault-addr", node.api)]
    run = redirector(
        "--bind", "127.0.0.1", "-c", certificates.chain, "-k", certificates.key,
        *addresses, "--vault-cacert", certificates.ca)
    assert run.listeners[0].transport == "tls"
    with Connection(run.port, tls=certificates.client_context()) as connection:

        def ask(target: str) -> str | None:
            response = connection.request("GET", target)
            if response.status == 503:
                return None
            assert response.status == 307
            return response["Location"]

        yield ask


def follow(cluster, location, target: str, other_than=None) -> Node:
    """Waits until the redirect names the active node, and gives that. Which one it is may change of itself."""

    def named() -> Node | None:
        active = cluster.active()
        is_named = active and active is not other_than and location(target) == active.api + target
        return active if is_named else None

    return wait_until("the redirect to follow", named, 120)


def test_to_the_new_one_after_the_old_one_is_killed(cluster, location):
    target = "/v1/secret/data/x?version=1"
    first = follow(cluster, location, target)

    cluster.kill(first)
    follow(cluster, location, target, other_than=first)

    cluster.restart(first)
    follow(cluster, location, target)


def test_to_the_new_one_after_the_old_one_is_sealed(cluster, location):
    first = follow(cluster, location, "/v1/x")

    cluster.seal(first)
    follow(cluster, location, "/v1/x", other_than=first)
    cluster.unseal(first)


def test_nowhere_while_every_node_is_sealed(cluster, location):
    for node in cluster.nodes:
        cluster.kill(node)
        cluster.restart(node, unseal=False)
    wait_until("503", lambda: location("/v1/x") is None)

    for node in cluster.nodes:
        cluster.unseal(node)
    follow(cluster, location, "/v1/x")

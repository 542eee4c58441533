"""A real cluster, `--vault-addr` for each of its nodes: the redirect names the one that is active."""

import pytest

from harness.http import Connection
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


def test_to_the_new_one_after_the_old_one_is_killed(cluster, location):
    target = "/v1/secret/data/x?version=1"
    first = cluster.wait_for_active()
    wait_until("the first redirect", lambda: location(target) == first.api + target)

    cluster.kill(first)
    second = cluster.wait_for_active(other_than=first)
    wait_until("the redirect to follow", lambda: location(target) == second.api + target)

    cluster.restart(first)
    assert location(target) == second.api + target


def test_to_the_new_one_after_the_old_one_is_sealed(cluster, location):
    first = cluster.wait_for_active()
    wait_until("the first redirect", lambda: location("/v1/x") == first.api + "/v1/x")

    cluster.seal(first)
    second = cluster.wait_for_active(other_than=first)
    wait_until("the redirect to follow", lambda: location("/v1/x") == second.api + "/v1/x")
    cluster.unseal(first)


def test_nowhere_while_every_node_is_sealed(cluster, location):
    for node in cluster.nodes:
        cluster.kill(node)
        cluster.restart(node, unseal=False)
    wait_until("503", lambda: location("/v1/x") is None)

    for node in cluster.nodes:
        cluster.unseal(node)
    active = cluster.wait_for_active()
    wait_until("the redirect to be back", lambda: location("/v1/x") == active.api + "/v1/x")

"""Two nodes answer 200: the later active_time of /v1/sys/leader goes first; without it the incumbent stays."""

import pytest

from harness.polling import wait_until
from harness.vault import StandInVault

EARLIER, LATER = "2026-11-22T01:00:00.999999999Z", "2026-11-22T02:00:01+00:00"


@pytest.fixture
def nodes(certificates):
    with StandInVault(certificates) as incumbent, StandInVault(certificates, 429) as newcomer:
        yield incumbent, newcomer


@pytest.fixture
def location(redirector, dial, certificates, nodes):
    words = [word for node in nodes for word in ("--vault-addr", node.origin)]
    run = redirector(
        "--bind", "127.0.0.1", "--vault-cacert", certificates.ca, "--probe-interval", "0.1", *words)
    with dial(run, seconds=60) as connection:
        yield lambda: dict(connection.request("GET", "/").fields).get("Location")


@pytest.mark.parametrize("times, newcomer_wins", [
    ((EARLIER, LATER), True), ((LATER, EARLIER), False), ((None, None), False),
    ((EARLIER, None), False), ((None, LATER), False), ((LATER, LATER), False)])
def test_a_split(nodes, location, times, newcomer_wins):
    incumbent, newcomer = nodes
    incumbent.active_time, newcomer.active_time = times
    wait_until("the incumbent", lambda: location() == incumbent.origin + "/")
    newcomer.status = 200
    if newcomer_wins:
        wait_until("the newcomer", lambda: location() == newcomer.origin + "/")
    seen = newcomer.requests
    wait_until("more probes", lambda: newcomer.requests >= seen + 4)
    assert location() == (newcomer if newcomer_wins else incumbent).origin + "/"

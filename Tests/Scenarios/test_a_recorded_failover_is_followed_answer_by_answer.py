"""Answers of a real Consul through a failover, replayed: after each one the redirect names the right node."""

import pathlib

import pytest

from harness.consul import Answer, StandInConsul
from harness.polling import wait_until

TRACES = pathlib.Path(__file__).parents[1] / "DiscoveryTests" / "Fixtures" / "consul"
ERRORS = sorted(path for path in (TRACES / "errors").glob("*.http"))

# Who serves after each file of the failover. The node that was killed (8, 9; 16 to 18) never does.
EXPECTED = {
    **dict.fromkeys(range(1, 2), "vault-a"), **dict.fromkeys(range(2, 4), None),
    **dict.fromkeys(range(4, 8), "vault-b"), **dict.fromkeys(range(8, 10), None),
    **dict.fromkeys(range(10, 16), "vault-a"), **dict.fromkeys(range(16, 19), None),
    **dict.fromkeys(range(19, 23), "vault-b"),
}


@pytest.fixture
def consul():
    with StandInConsul() as consul:
        yield consul


@pytest.fixture
def node(redirector, dial, consul):
    """Whom the redirect names; None for a 503."""
    run = redirector("--bind", "127.0.0.1", "-S", consul.address)
    with dial(run, seconds=60) as connection:

        def ask() -> str | None:
            response = connection.request("GET", "/v1/x")
            if response.status == 503:
                return None
            assert response.status == 307
            return response["Location"].removeprefix("https://").removesuffix(":8200/v1/x")

        yield ask


def acted_on(consul, path, after):
    """Waits until the program asks for what comes after an answer: then it has acted on it."""
    index = str(Answer.recorded(path).index)
    asked = lambda: any(request.query.get("index") == index for request in consul.requests[after:])
    wait_until(f"a query for what follows {path.name}", asked)


def test_the_files_here_are_all_there_are():
    files = sorted(int(path.stem) for path in (TRACES / "failover").glob("*.http"))
    assert files == sorted(EXPECTED)
    assert len(ERRORS) == 9


def test_failover(consul, node):
    for number, name in EXPECTED.items():
        path, seen = TRACES / "failover" / f"{number:03}.http", len(consul.requests)
        consul.replay(path)
        acted_on(consul, path, seen)
        assert node() == name, f"after {number:03}.http"


@pytest.mark.parametrize("path", ERRORS, ids=lambda path: path.stem)
def test_errors(consul, node, path):
    consul.replay(TRACES / "failover" / "001.http")
    wait_until("the first node", lambda: node() == "vault-a")
    is_filtered = Answer.recorded(path).status == 200
    assert is_filtered is (path.stem == "anonymous-filtered")
    seen = len(consul.requests)
    if is_filtered:
        # An empty list of which Consul says itself that whoever asks may see nothing.
        consul.replay(path)
        acted_on(consul, path, seen)
    else:
        consul.fail_with(path)
        consul.wait_for_requests(seen + 2, timeout=60)  # The second comes after the first one failed.
    assert node() == "vault-a"

    consul.replay(TRACES / "failover" / "004.http")
    wait_until("the next node", lambda: node() == "vault-b")

"""However many nodes are asked, their descriptors are kept from clients: with every place taken a new active node is found."""

import contextlib
import re
import subprocess

import pytest

from harness.http import Connection
from harness.metrics import scrape
from harness.polling import wait_until
from harness.vault import StandInVault

NODES = 60
HALF = b"GET / HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture
def nodes(certificates):
    """The first one is active; each probe of any is a connection of its own."""
    with contextlib.ExitStack() as stack:
        found = [
            stack.enter_context(StandInVault(certificates, status=429, keeps_alive=False))
            for _ in range(NODES)]
        found[0].status = 200
        yield found


def words_for(nodes, certificates):
    words = ["--bind", "127.0.0.1", "--admin", "127.0.0.1:0", "--workers", "1"]
    words += ["--head-timeout", "600", "--probe-timeout", "30", "--vault-cacert", certificates.ca]
    return words + [word for node in nodes for word in ("--vault-addr", node.origin)]


def least_limit(binary, words) -> int:
    """The RLIMIT_NOFILE that it asks for where it has too few."""
    done = subprocess.run(
        ["prlimit", "--nofile=12:12", binary, *map(str, words), "-P", "0"], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60)
    assert done.returncode == 71
    return int(re.search(r"raise it to (\d+) at least", done.stderr)[1])


def is_full(run) -> bool:
    try:
        return scrape(run)("accept_pauses_total") > 0
    except OSError:
        return True  # More than full: the admin listener has nothing left either.


def test_a_new_active_node_is_found_with_every_place_taken(binary, redirector, certificates, nodes):
    words = words_for(nodes, certificates)
    limit = least_limit(binary, words) + 4
    run = redirector(*words, prefix=("prlimit", f"--nofile={limit}:{limit}"), listeners=2)
    run.wait_for_line(f"to={nodes[0].origin}")
    busy = [Connection(run.port, seconds=60) for _ in range(limit + 20)]
    for connection in busy:
        connection.send(HALF)
    wait_until("every place to be taken", lambda: is_full(run))

    nodes[0].status, nodes[1].status = 429, 200
    run.wait_for_line(f"to={nodes[1].origin}", seconds=60)
    # Nobody was without a descriptor: no probe, no client that was accepted, no operator.
    assert not any("unreachable" in line for line in run.lines)
    assert scrape(run)("accept_errors_total") == 0
    assert run.descriptors() <= limit
    for connection in busy:
        connection.socket.close()


def test_the_least_limit_grows_with_the_nodes(binary, certificates):
    def asking(*hosts: str) -> list[str]:
        return ["--bind", "127.0.0.1"] + [
            word for host in hosts for word in ("--vault-addr", f"https://{host}")]

    consul = ["--bind", "127.0.0.1", "127.0.0.1:8500", "-S"]
    one = least_limit(binary, asking("10.0.0.1"))
    assert least_limit(binary, asking("10.0.0.1", "10.0.0.2", "10.0.0.3")) == one + 2 * 2
    # Behind names there may be sixteen nodes, however many the names are.
    names = [f"vault-{number}.example.com" for number in range(11)]
    assert least_limit(binary, asking(names[0])) == one + 15 * 2 + 3
    assert least_limit(binary, asking(*names)) == one + 15 * 2 + 11 * 3
    assert least_limit(binary, asking("10.0.0.1", names[0])) == one + 16 * 2 + 3
    assert least_limit(binary, consul) == one + 9 - 2
    assert least_limit(binary, [*consul, "--verify-target"]) == one + 17 * 9 - 2
    assert least_limit(binary, [*asking("10.0.0.1"), "--bind", "::1"]) == one + 1

"""`--vault-addr` with a name: each of its addresses is a node, however often they change. Names are the machine's own resolver's, by
an /etc/hosts of the test's."""

import contextlib
import errno
import os
import pathlib
import signal
import socket
import subprocess

import pytest

from harness.certs import Certificates
from harness.hosts import NAME, Hosts
from harness.metrics import scrape
from harness.polling import wait_until
from harness.redirector import Redirector
from harness.vault import StandInVault
from harness.watching import Watching

A, B, C = "127.0.1.2", "127.0.1.3", "127.0.1.4"


@pytest.fixture(scope="module")
def named(tmp_path_factory) -> Certificates:
    """For the name alone: no address is in it that the test uses."""
    return Certificates.make(tmp_path_factory.mktemp("named"), NAME)


@pytest.fixture
def nodes(named):
    """Nodes at A, B and C, all at one port, none of them active; A and B are there first."""
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            try:
                first = StandInVault(named, status=429, host=A)
                rest = [StandInVault(named, status=429, host=each, port=first.port) for each in (B, C)]
                break
            except OSError as error:
                assert error.errno == errno.EADDRINUSE
        yield [stack.enter_context(each) for each in (first, *rest)]


@pytest.fixture
def start(redirector, named, nodes, hosts):
    runs: list[Watching] = []

    def start(*arguments, address=f"https://{NAME}") -> Watching:
        run = redirector(
            "--bind", "127.0.0.1", "--admin", "127.0.0.1:0", "--vault-cacert", named.ca,
            "--vault-addr", f"{address}:{nodes[0].port}", *arguments, prefix=hosts.prefix, listeners=2)
        runs.append(Watching(run, None))
        return runs[-1]

    yield start
    for run in runs:
        run.close()


def goes_to(run: Watching, origin: str | None):
    wait_until(f"the redirect to {origin}", lambda: run.origin() == origin)


def lookups(run: Watching, result: str = "ok") -> float:
    return scrape(run.run)("discovery_lookups_total", result=result)


def ask_again(run: Watching):
    """Another lookup, and what comes of it."""
    # One that is on its way may have read the old file.
    before = lookups(run) + lookups(run, "error")
    run.run.signal(signal.SIGHUP)
    wait_until("another lookup", lambda: lookups(run) + lookups(run, "error") > before)


def test_whoever_is_active_is_the_target_by_its_address(start, hosts, nodes):
    a, b, c = nodes
    hosts.say(A, B, C)
    b.status = 200
    run = start()
    goes_to(run, b.origin)
    assert {node["address"] for node in run.health()[1]["discovery"]["nodes"]} == {
        each.origin.removeprefix("https://") for each in nodes}
    b.status, c.status = 429, 200
    goes_to(run, c.origin)
    # Each by the name that its certificate is for.
    assert {name for node in nodes for name in node.names} == {NAME}
    assert {host for node in nodes for host in node.hosts} == {f"{NAME}:{a.port}"}


def test_an_address_that_comes_is_found_without_a_signal(start, hosts, nodes):
    a, b, c = nodes
    hosts.say(A, B)
    a.status = 200
    run = start()
    goes_to(run, a.origin)
    hosts.say(B, C)
    wait_until("the new one to be asked", lambda: c.requests)
    a.status, c.status = 429, 200
    goes_to(run, c.origin)


def test_a_node_that_fails_has_the_name_looked_up_at_once(start, hosts, nodes):
    a, b, c = nodes
    hosts.say(A, B)
    a.status = 200
    run = start()
    goes_to(run, a.origin)
    hosts.say(B, C)
    c.status = 200
    # Its connections end, and nobody listens any more.
    a.keeps_alive = False
    asked = a.requests
    wait_until("another question", lambda: a.requests > asked)
    a.__exit__()
    goes_to(run, c.origin)


def test_one_address_is_a_node_of_that_name(start, hosts, nodes):
    a, b, _ = nodes
    hosts.say(A)
    a.status = 200
    run = start()
    goes_to(run, f"https://{NAME}:{a.port}")
    # It moves: whatever its old address says.
    hosts.say(B)
    ask_again(run)
    goes_to(run, None)
    b.status = 200
    goes_to(run, f"https://{NAME}:{a.port}")
    # A question that was on its way to the old address when the name moved has arrived by now.
    ask_again(run)
    asked, seen = a.requests, b.requests
    wait_until("more probes", lambda: b.requests > seen + 5)
    assert a.requests == asked
    # It gets a second one, and is two nodes from then on.
    hosts.say(A, B)
    ask_again(run)
    a.status = 429
    goes_to(run, b.origin)


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="needs IPv6 on loopback")
def test_an_address_of_each_family_is_one_node(start, hosts, nodes):
    a = nodes[0]
    a.status = 200
    # Nobody listens at the first.
    hosts.say("::1", A)
    run = start()
    goes_to(run, f"https://{NAME}:{a.port}")
    assert [node["state"] for node in run.health()[1]["discovery"]["nodes"]] == ["active"]


def test_a_template_sends_to_what_the_address_is_called(start, hosts, nodes):
    a, b, c = nodes
    hosts.say(A, B, C, vault_0=A, vault_1=B)
    b.status = 200
    run = start("--target-template", "https://{node}.vault.example.com:{port}")
    goes_to(run, f"https://vault-1.vault.example.com:{a.port}")
    b.status, a.status = 429, 200
    goes_to(run, f"https://vault-0.vault.example.com:{a.port}")
    # C is called as all of them are together.
    a.status, c.status = 429, 200
    goes_to(run, f"https://vault.vault.example.com:{a.port}")


def test_and_says_which_node_has_no_name(start, hosts, nodes):
    run = start("--target-template", "https://{node}.example.com", address="https://127.0.1.4")
    nodes[2].status = 200
    reasons = lambda: [node.get("reason") for node in run.health()[1]["discovery"]["nodes"]]
    wait_until("the reason", lambda: reasons() == [
        "its address has no name, which --target-template asks for"])
    assert run.origin() is None


def test_a_name_that_cannot_be_looked_up_is_looked_up_again(start, hosts, nodes):
    b = nodes[1]
    b.status = 200
    run = start()
    run.run.wait_for_line("a vault node's name cannot be looked up")
    assert run.origin() is None
    document = run.health()[1]
    assert NAME in document["discovery"]["last_error"]
    assert document["discovery"]["nodes"][0]["state"] == "unreachable"
    hosts.say(A, B)
    goes_to(run, b.origin)
    run.run.wait_for_line("a vault node's name can be looked up again")
    # What is known stays when the name servers do not.
    hosts.say()
    failed = lookups(run, "error")
    run.run.signal(signal.SIGHUP)
    wait_until("a lookup that fails", lambda: lookups(run, "error") > failed)
    seen = b.requests
    wait_until("more probes", lambda: b.requests > seen + 2)
    assert run.origin() == b.origin


@pytest.mark.skipif(os.geteuid() != 0, reason="a name server is at port 53, which is root's")
def test_a_name_server_that_says_nothing_delays_nobody(redirector, named, nodes, hosts):
    """Another name is found meanwhile, a signal is heeded, and the end does not wait for the lookup."""
    hosts.say(A)
    nodes[0].status = 200
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        address = f"127.{os.getpid() >> 8 & 255}.{os.getpid() & 255}.53"
        server.bind((address, 53))
        server.settimeout(60)
        hosts.ask(address)
        words = [word for name in ("silent.test", NAME)
                 for word in ("--vault-addr", f"https://{name}:{nodes[0].port}")]
        run = redirector(
            "--bind", "127.0.0.1", "--vault-cacert", named.ca, *words, prefix=hosts.prefix)
        with contextlib.closing(Watching(run, None)) as watching:
            goes_to(watching, f"https://{NAME}:{nodes[0].port}")
            server.recv(512)
            asked = nodes[0].connections
            run.signal(signal.SIGHUP)
            wait_until("another connection", lambda: nodes[0].connections > asked)
            assert watching.origin() == f"https://{NAME}:{nodes[0].port}"
            threads = pathlib.Path(f"/proc/{run.pid}/task")
            # The resolver gives up after a while, and a second later asks again.
            wait_until("a lookup", lambda: "lookup\n" in [
                file.read_text() for file in threads.glob("*/comm") if file.exists()])
            assert run.stop() == 0


def test_print_target_asks_at_every_address(binary, hosts, named, nodes):
    hosts.say(A, B, C)
    nodes[2].status = 200
    command = [*hosts.prefix, binary, "--print-target", "--vault-cacert", named.ca,
               "--vault-addr", f"https://{NAME}:{nodes[0].port}"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == f"target: {nodes[2].origin}"
    assert all(each.origin in result.stdout for each in nodes)


@pytest.mark.parametrize(("template", "what"), [
    ("https://vault.example.com", "names one target for all nodes; write {node}, {ip} or {address}"),
    ("https://{node}.{dc}.example.com", "{dc} is Consul's to say: with --vault-addr there is none"),
])
def test_a_template_that_does_not_fit_is_wrong_use(binary, template, what):
    result = subprocess.run(
        [binary, "--vault-addr", "https://vault.test:8200", "--target-template", template],
        capture_output=True, text=True, timeout=60)
    assert result.returncode == 64
    assert result.stderr.strip().endswith(f"--target-template: {what}")

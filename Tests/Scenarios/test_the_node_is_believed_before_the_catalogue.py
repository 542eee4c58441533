"""What Consul and the nodes say differs, or one of them is silent: each line of Decisions, "Who is chosen", that operators meet."""

import contextlib
import json
import signal
import socket
import subprocess
import threading

import pytest

from harness.certs import Certificates
from harness.consul import entry
from harness.http import Connection
from harness.metrics import scrape
from harness.polling import wait_until
from harness.vault import StandInVault

STANDBY = ("standby", "initialized")
AGENT_IS_DOWN = (("serfHealth", "critical"),)


@pytest.fixture
def a(certificates):
    with StandInVault(certificates) as vault:
        yield vault


@pytest.fixture
def b(certificates):
    """A standby."""
    with StandInVault(certificates, status=429) as vault:
        yield vault


@pytest.fixture
def verifying(watch, certificates):
    def start(*arguments, **options):
        return watch("-I", "--verify-target", "--vault-cacert", certificates.ca, *arguments, **options)

    return start


@pytest.fixture
def asking(redirector, certificates):
    """Asks the nodes themselves, and no Consul."""

    def start(*vaults, arguments=(), **options):
        addresses = [word for vault in vaults for word in ("--vault-addr", vault.origin)]
        return redirector(
            "--bind", "127.0.0.1", "--admin", "127.0.0.1:0", *addresses,
            "--vault-cacert", certificates.ca, *arguments, **{"listeners": 2, **options})

    return start


def at(vault: StandInVault, name: str, **options) -> dict:
    return entry(name, port=vault.port, **options)


def goes_to(watching, vault: StandInVault | None):
    origin = vault and vault.origin
    wait_until(f"the redirect to {origin}", lambda: watching.origin() == origin)


def stays_at(watching, vault: StandInVault, *probed: StandInVault):
    """Through five answers of each of them."""
    seen = {each: each.requests for each in probed}

    def asked() -> bool:
        assert watching.origin() == vault.origin
        return all(each.requests >= seen[each] + 5 for each in probed)

    wait_until("five more probes", asked)


def test_tags_lag_behind_the_new_active_node(verifying, consul, a, b):
    consul.set([at(a, "vault-a"), at(b, "vault-b", tags=STANDBY)])
    watching = verifying()
    goes_to(watching, a)
    a.status, b.status = 429, 200
    goes_to(watching, b)
    watching.hear(consul.set, [at(a, "vault-a", tags=STANDBY), at(b, "vault-b", tags=STANDBY)])
    stays_at(watching, b, a, b)


@pytest.mark.parametrize("how", ["deregistered", "critical"])
def test_the_agent_of_the_active_node_restarts(verifying, consul, a, b, how):
    consul.set([at(a, "vault-a"), at(b, "vault-b", tags=STANDBY)])
    watching = verifying()
    goes_to(watching, a)
    rest = [at(b, "vault-b", tags=STANDBY)]
    if how == "critical":
        rest.append(at(a, "vault-a", checks=AGENT_IS_DOWN))
    watching.hear(consul.set, rest)
    stays_at(watching, a, a, b)
    watching.hear(consul.set, [at(a, "vault-a"), at(b, "vault-b", tags=STANDBY)])
    stays_at(watching, a, a)


@contextlib.contextmanager
def under_load(run):
    """Four clients ask without a pause; gives what they were answered: (status, origin), each once."""
    seen, stopping = set(), threading.Event()

    def ask():
        try:
            with Connection(run.port) as connection:
                while not stopping.is_set():
                    response = connection.request("GET", "/v1/x")
                    location = dict(response.fields).get("Location", "")
                    seen.add((response.status, location.removesuffix("/v1/x")))
        except Exception as error:
            seen.add((0, repr(error)))

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    try:
        yield seen
    finally:
        stopping.set()
        for client in clients:
            client.join()


@pytest.mark.parametrize(("is_asked", "how"), [
    (True, "deregistered"), (True, "critical"),
    # By Consul's word alone a critical check is a dead node.
    (False, "deregistered"),
])
def test_the_agents_restart_one_after_the_other_under_load(
    watch, verifying, consul, a, b, is_asked, how
):
    names = ["vault-a", "vault-b", "vault-c"]
    place = {"vault-a": a, "vault-b": b, "vault-c": b}
    tags = {name: STANDBY for name in names[1:]}

    def register(without: str | None = None) -> list[dict]:
        rest = [name for name in names if name != without]
        entries = [at(place[name], name, **({"tags": tags[name]} if name in tags else {})) for name in rest]
        if without and how == "critical":
            entries.append(at(place[without], without, checks=AGENT_IS_DOWN))
        return entries

    consul.set(register())
    watching = verifying() if is_asked else watch("-I", "--vanish-grace", "60")
    goes_to(watching, a)
    with under_load(watching.run) as seen:
        for name in names * 2:
            watching.hear(consul.set, register(without=name))
            watching.hear(consul.set, register())
    assert seen == {(307, a.origin)}


def test_maintenance_goes_before_the_nodes_word(verifying, consul, a, b):
    consul.set([at(a, "vault-a"), at(b, "vault-b", tags=STANDBY)])
    watching = verifying()
    goes_to(watching, a)
    consul.set([
        at(a, "vault-a", checks=(("_node_maintenance", "critical"),)),
        at(b, "vault-b", tags=STANDBY)])
    goes_to(watching, None)
    b.status = 200
    goes_to(watching, b)


def test_a_vanished_node_has_a_grace_where_nodes_are_not_asked(watch, consul):
    consul.set([entry("vault-a")])
    watching = watch("--vanish-grace", "60")
    watching.follow("vault-a")
    watching.hear(consul.set, [entry("vault-b", tags=STANDBY)])
    assert watching.node() == "vault-a"
    watching.hear(consul.set, [entry("vault-b")])
    assert watching.node() == "vault-b"


def test_and_no_longer(watch, consul):
    consul.set([entry("vault-a")])
    watching = watch("--vanish-grace", "0.05")
    watching.follow("vault-a")
    consul.set([])
    watching.follow(None)


def test_a_new_active_node_that_is_not_allowed_keeps_no_dead_one(watch, consul):
    consul.set([entry("vault-a")])
    watching = watch("--allow-target", "vault-a")
    watching.follow("vault-a")
    consul.set([entry("evil", modify_index=20), entry("vault-a", tags=STANDBY)])
    watching.follow(None)
    node = watching.health()[1]["discovery"]["nodes"][0]
    assert node["reason"] == "evil:8200 is outside --allow-target"


def test_health_fails_before_redirects_do(watch, consul):
    consul.set([entry("vault-a")])
    watching = watch("--health-stale", "0.5")
    watching.follow("vault-a")
    consul.refuse()
    wait_until("health to fail", lambda: watching.health()[0] == 503)
    document = watching.health()[1]
    assert (document["healthy"], document["stale"]) == (False, True)
    assert watching.node() == "vault-a"
    consul.start()
    wait_until("health to be back", lambda: watching.health()[0] == 200)


@pytest.mark.parametrize(("entries", "fields"), [
    ([], {"X_Consul_Results_Filtered_By_ACLs": "true"}),
    ([], {"X_Consul_Default_ACL_Policy": "deny"}),
    ([entry("vault-b", tags=STANDBY)], {"X_Consul_Results_Filtered_By_ACLs": "true"}),
], ids=["all hidden", "nothing visible", "some hidden"])
def test_an_answer_that_hides_nodes_is_no_fact(watch, consul, entries, fields):
    consul.set([entry("vault-a")])
    watching = watch("--vanish-grace", "0.05")
    watching.follow("vault-a")
    watching.hear(consul.set, entries, **fields)
    watching.run.wait_for_line("consul hides nodes")
    assert watching.node() == "vault-a"
    assert "service:read" in watching.health()[1]["discovery"]["last_error"]


def test_a_catalogue_that_is_made_again_is_no_fact(watch, consul):
    consul.set([entry("vault-a")], index=900)
    watching = watch("--vanish-grace", "0.05")
    watching.follow("vault-a")
    watching.hear(consul.set, [], index=3)
    assert watching.node() == "vault-a"
    assert "made again" in watching.health()[1]["discovery"]["last_error"]


def test_a_node_that_is_not_trusted_is_told_of(watch, consul, a, tmp_path):
    other = Certificates.make(tmp_path / "other")
    consul.set([at(a, "vault-a")])
    watching = watch("-I", "--verify-target", "--vault-cacert", other.ca)
    line = watching.run.wait_for_line("a vault node cannot be taken")
    assert "node=vault-a" in line and "untrusted" in line
    discovery = watching.health()[1]["discovery"]
    assert discovery["last_error"].startswith("no node is taken: untrusted")
    assert discovery["nodes"][0]["reason"].startswith("untrusted")
    assert watching.metrics()("discovery_refusals_total", reason="tls") == 1


def test_one_late_answer_of_the_active_node_is_no_fact(asking, a, b):
    with SlowProxy(a) as slow:
        run = asking(slow, b, arguments=("--probe-timeout", "0.3"))
        run.wait_for_line("active vault node changed")
        slow.drop_one()
        seen = b.requests
        wait_until("the standby to be asked meanwhile", lambda: b.requests >= seen + 5)
        wait_until("the active one to answer again", slow.has_served_since)
        assert len([line for line in run.lines if "active vault node changed" in line]) == 1


def test_a_node_that_refuses_is_gone_at_once(verifying, consul, certificates, b):
    with StandInVault(certificates, keeps_alive=False) as a:
        consul.set([at(a, "vault-a"), at(b, "vault-b", tags=STANDBY)])
        watching = verifying("--probe-timeout", "30")
        goes_to(watching, a)
    # Its port refuses now; Consul does not know yet.
    goes_to(watching, None)
    b.status = 200
    goes_to(watching, b)


@pytest.mark.parametrize("body", [
    b"<!DOCTYPE html><title>Welcome</title>",
    json.dumps({"initialized": True, "sealed": False, "standby": True}).encode(),
    b"{}",
], ids=["a page", "a standby", "nothing"])
def test_a_200_that_is_not_vaults_is_nobody(asking, a, b, body):
    a.body = body
    run = asking(a, b)
    run.wait_for_line("a vault node cannot be taken")
    seen = b.requests
    wait_until("probes", lambda: b.requests >= seen + 5)
    assert not [line for line in run.lines if "to=https" in line]
    b.status = 200
    run.wait_for_line(lambda line: f"to={b.origin}" in line)


def test_a_reload_verifies_certificates_again(asking, a):
    run = asking(a)
    run.wait_for_line("active vault node changed")
    seen = a.requests
    wait_until("probes", lambda: a.requests >= seen + 5)
    before = a.connections
    run.signal(signal.SIGHUP)
    wait_until("another connection", lambda: a.connections > before)


def test_without_a_leader_old_answers_are_better_than_none(watch, consul):
    consul.lose_leader([entry("vault-a")])
    watching = watch()
    watching.follow("vault-a")
    assert "no leader" in watching.health()[1]["discovery"]["last_error"]
    # They change nothing that is known.
    asked = len(consul.requests)
    consul.lose_leader([entry("vault-b")])
    consul.wait_for_requests(asked + 6)
    assert watching.node() == "vault-a"
    consul.set([entry("vault-b")])
    watching.follow("vault-b")


@pytest.mark.parametrize("value", ["4294967296", "99999999999999999999", "soon"])
def test_a_last_contact_beyond_any_range_is_old(watch, consul, value):
    consul.set([entry("vault-a")])
    watching = watch()
    watching.follow("vault-a")
    before = len(consul.requests)
    consul.set([entry("vault-b")], X_Consul_Lastcontact=value)
    consul.wait_for_requests(before + 2)
    wait_until("the leader to be asked", lambda: any(
        "stale" not in request.query for request in consul.requests[before:]))


def test_vaults_own_check_promotes_no_standby_whose_tags_are_gone(watch, consul):
    own = (("vault:127.0.0.1:8200:vault-sealed-check", "passing"),)
    consul.set([entry("vault-a", tags=(), checks=own)])
    watching = watch()
    watching.hear(consul.set, [entry("vault-b", tags=(), checks=own)])
    assert watching.node() is None


def test_a_required_tag_keeps_another_clusters_nodes_out(watch, consul):
    consul.set([
        entry("dr", tags=("active",), modify_index=99), entry("vault-a", tags=("active", "primary"))])
    watching = watch("--require-tag", "primary")
    watching.follow("vault-a")
    assert "it has no tag primary" in [
        node.get("reason") for node in watching.health()[1]["discovery"]["nodes"]]


def test_by_default_a_request_waits_for_the_node(redirector, certificates, b):
    run = redirector(
        "--bind", "127.0.0.1", "--admin", "127.0.0.1:0", "--vault-addr", b.origin,
        "--vault-cacert", certificates.ca, listeners=2, holds=True)
    asked = subprocess.Popen(
        ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://127.0.0.1:{run.port}/v1/x"],
        stdout=subprocess.PIPE, text=True)
    wait_until("the request to wait", lambda: _held(run) == 1)
    b.status = 200
    assert asked.communicate(timeout=60)[0] == "307"


def _held(run) -> float:
    return scrape(run)("http_requests_held")


class SlowProxy:
    """In front of a node: passes bytes on, and can keep one answer back for ever."""

    def __init__(self, vault: StandInVault):
        self._vault = vault

    def __enter__(self) -> "SlowProxy":
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.origin = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self._dropping = threading.Event()
        self._dropped_at = 0
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.close()

    def drop_one(self):
        """The connection that is open says nothing more; the next one does."""
        self._dropping.set()

    def has_served_since(self) -> bool:
        return not self._dropping.is_set() and self._vault.requests >= self._dropped_at + 5

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                node = socket.create_connection(("127.0.0.1", self._vault.port))
                for source, sink, is_answer in ((client, node, False), (node, client, True)):
                    threading.Thread(
                        target=self._pass, args=(source, sink, is_answer), daemon=True).start()

    def _pass(self, source, sink, is_answer: bool):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if is_answer and self._dropping.is_set():
                    self._dropped_at = self._vault.requests
                    self._dropping.clear()
                    return  # Nothing comes any more, and nobody is told.
                sink.sendall(data)
            sink.close()

"""--print-target: a table and exit 0, or why there is no target and exit 69; --json for machines."""

import json
import subprocess

import pytest

from harness.consul import entry
from harness.vault import StandInVault


@pytest.fixture
def ask(binary):
    def run(*arguments: object) -> tuple[int, str]:
        words = [binary, "--print-target", *map(str, arguments)]
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        assert done.stderr == ""
        return done.returncode, done.stdout

    return run


STANDBY = ("standby", "initialized")
SEALED = (("serfHealth", "passing"), ("sealed-check", "critical"))


def test_the_table(ask, consul):
    consul.set([
        entry("vault-a", modify_index=2), entry("vault-b", tags=STANDBY),
        entry("vault-c", modify_index=9, checks=SEALED), entry("vault-d", modify_index=1)])
    code, text = ask("-S", consul.address)
    assert code == 0
    header, a, b, c, d, last = text.splitlines()
    assert header.split() == ["NODE", "ADDRESS", "ROLE", "CHECKS", "VERDICT"]
    assert a.startswith("vault-a") and "chosen" in a
    assert b.startswith("vault-b") and "no tag active" in b
    assert c.startswith("vault-c") and "sealed-check is critical" in c
    assert d.startswith("vault-d") and "newer" in d
    assert last == "target: https://vault-a:8200"


def test_its_own_listener_is_no_target_as_for_the_daemon(ask, consul):
    consul.set([entry("localhost", port=8443)])
    code, text = ask("-P", 8443, consul.address)
    assert code == 69
    assert "localhost:8443 is this redirector's own listener" in text.splitlines()[1]
    assert ask("-P", 8444, consul.address)[0] == 0


def test_for_machines(ask, consul):
    consul.set([entry("vault-a"), entry("vault-b", tags=STANDBY)])
    code, text = ask("--json", consul.address)
    document = json.loads(text)
    assert code == 0
    assert document["target"] == "http://vault-a:8200"
    assert document["reason"] is None
    assert [(node["name"], node["chosen"]) for node in document["nodes"]] == [
        ("vault-a", True), ("vault-b", False)]


def test_nobody_is_active(ask, consul):
    consul.set([entry("vault-b", tags=STANDBY)])
    code, text = ask(consul.address)
    assert (code, text.splitlines()[-1]) == (69, "no target: no node is active")
    consul.set([])
    assert ask(consul.address) == (69, "no target: the service has no instance\n")


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_nobody_answers(ask, consul, form):
    consul.refuse()
    code, text = ask(*form, consul.address)
    assert code == 69
    assert consul.address in (json.loads(text)["reason"] if form else text)


def test_a_refused_target(ask, consul):
    consul.set([entry("evil")])
    code, text = ask("--allow-target", "vault-*", consul.address)
    assert code == 69
    assert "evil:8200 is outside --allow-target" in text


def test_the_nodes_themselves(ask, certificates):
    with StandInVault(certificates, 429) as standby, StandInVault(certificates) as active:
        words = ["--vault-addr", standby.origin, "--vault-addr", active.origin]
        code, text = ask(*words, "--vault-cacert", certificates.ca)
        assert (code, text.splitlines()[-1]) == (0, f"target: {active.origin}")
        active.status = 503
        code, text = ask(*words, "--vault-cacert", certificates.ca)
        assert (code, text.splitlines()[-1]) == (69, "no target: no node is active")
        assert "standby" in text and "sealed" in text

"""Guards: --allow-target, our own listeners, and a request that has come back to us."""

import pytest

from harness.consul import entry
from harness.polling import wait_until


@pytest.mark.parametrize("patterns, good, evil", [
    (("vault-?",), "vault-a", "evil"),
    (("*.vault.example.com", "vault-a"), "x.vault.example.com", "vault.example.com"),
    (("VAULT-*",), "vault-a", "evil.vault-a"),
])
def test_only_allowed_names(watch, consul, patterns, good, evil):
    consul.set([entry(good)])
    watching = watch(*(word for pattern in patterns for word in ("--allow-target", pattern)))
    watching.follow(good)

    # Nobody else is active: the last good one stays, and it is said once and counted.
    for _ in range(3):
        watching.hear(consul.set, [entry(evil, modify_index=99)])
    assert watching.node() == good
    line = watching.run.wait_for_line("an active node is refused as target")
    assert f"{evil}:8200 is outside --allow-target" in line
    assert sum("is refused as target" in line for line in watching.run.lines) == 1
    assert watching.metrics()("discovery_refused_targets_total") == 1

    # Somebody else is active: he is chosen, however old his registration.
    consul.set([entry(evil, modify_index=99), entry("vault-b" if good == "vault-a" else good)])
    watching.follow("vault-b" if good == "vault-a" else good)


def test_only_allowed_addresses(watch, consul):
    consul.set([entry("vault-a", address="10.1.2.3")])
    watching = watch("-I", "--allow-target", "10.1.0.0/16", "--allow-target", "fd00::/8")
    watching.follow("10.1.2.3")
    watching.hear(consul.set, [entry("vault-b", address="10.2.0.1")])
    assert watching.node() == "10.1.2.3"
    consul.set([entry("vault-c", address="fd00::1")])
    wait_until("the IPv6 one", lambda: watching.origin() == "https://[fd00::1]:8200")


def test_nobody_when_the_first_is_refused(watch, consul):
    consul.set([entry("evil")])
    watching = watch("--allow-target", "vault-*")
    watching.run.wait_for_line("is refused as target")
    assert watching.origin() is None
    assert watching.metrics()("active_node_known") == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "::1"])
def test_never_our_own_listener(redirector, consul, dial, host):
    run = redirector("--admin", "127.0.0.1:0", "-S", "-I", consul.address, listeners=2)
    with dial(run) as connection:
        consul.set([entry("vault-a", address=host, port=run.port)])
        run.wait_for_line("this redirector's own listener")
        assert connection.request("GET", "/v1/x").status == 503
        consul.set([entry("vault-a", address=host, port=run.port % 65535 + 1)])
        wait_until(
            "another port to be fine", lambda: connection.request("GET", "/v1/x").status == 307)


def test_never_the_admin_listener(watch, consul):
    watching = watch("-I")
    consul.set([entry("vault-a", address="127.0.0.1", port=watching.run.admin_port)])
    watching.run.wait_for_line("this redirector's own listener")
    assert watching.origin() is None


def test_a_request_that_came_back_is_a_loop(watch, consul, dial):
    consul.set([entry("vault.example.com", port=443)])
    watching = watch()
    watching.follow("vault.example.com")
    with dial(watching.run) as connection:

        def status(host: str) -> int:
            connection.send(f"GET /v1/x HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            return connection.response().status

        assert status("vault.example.com") == 508
        assert status("Vault.Example.com:443") == 508
        assert status("vault.example.com:8200") == 307
        assert status("other.example.com") == 307
    assert watching.run.stop() == 0  # Every line is written.
    lines = [line for line in watching.run.lines if "level=error" in line or "loop" in line.lower()]
    assert len(lines) == 1, lines

"""Two active nodes, critical checks, and entries of every shape: clients are sent to the right one."""

import pytest

from harness.consul import entry

SEALED = (("serfHealth", "passing"), ("sealed-check", "critical"))
STANDBY = ("standby", "initialized")


@pytest.mark.parametrize("newer_first", [True, False])
def test_of_two_active_nodes_the_newer(watch, consul, newer_first):
    entries = [entry("vault-new", modify_index=20), entry("vault-old", modify_index=19)]
    consul.set(entries if newer_first else entries[::-1])
    watching = watch()
    watching.follow("vault-new")
    watching.run.wait_for_line("several nodes are active in consul")
    assert watching.metrics()("active_candidates") == 2

    # The same again is said once.
    watching.hear(consul.set, entries)
    assert sum("several nodes" in line for line in watching.run.lines) == 1


@pytest.mark.parametrize("check", ["serfHealth", "_node_maintenance", "sealed-check"])
def test_never_one_with_a_critical_check(watch, consul, check):
    dead = entry("vault-dead", modify_index=99, checks=((check, "critical"),))
    consul.set([dead, entry("vault-well", modify_index=1)])
    watching = watch()
    watching.follow("vault-well")

    consul.set([dead])
    watching.follow(None)


def test_a_warning_is_no_reason(watch, consul):
    consul.set([entry("vault-a", checks=(("serfHealth", "passing"), ("other", "warning")))])
    watch().follow("vault-a")


@pytest.mark.parametrize("port", [-1, 0, 65536])
@pytest.mark.parametrize("newest", [True, False])
def test_never_a_port_that_is_none(watch, consul, port, newest):
    unusable = entry("vault-unix", port=port, modify_index=99 if newest else 1)
    consul.set([unusable, entry("vault-a", modify_index=50)])
    watching = watch()
    watching.follow("vault-a")
    consul.set([unusable])
    watching.follow(None)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a@b", "a\r\nX: y", "é", "[::1]", "a?b", "a#b"])
def test_never_a_host_that_is_none(watch, consul, name):
    consul.set([entry(name, modify_index=99), entry("vault-a")])
    watching = watch()
    watching.follow("vault-a")
    consul.set([entry(name)])
    watching.follow(None)


def test_null_and_unknown_where_consul_may_have_it(watch, consul):
    active = entry("vault-a")
    active["Service"] |= {"Meta": None, "TaggedAddresses": None, "Unheard": {"of": [1, None]}}
    active["Node"] |= {"TaggedAddresses": None, "Locality": {"Region": "r"}}
    active["Checks"][0] |= {"Type": None, "ServiceTags": None, "Output": None}
    active |= {"Partition": "p", "SamenessGroup": None}
    no_tags = entry("vault-b", tags=None)
    no_checks = entry("vault-c", tags=STANDBY) | {"Checks": None}
    consul.set([no_tags, active, no_checks])
    watching = watch()
    watching.follow("vault-a")
    assert {node["name"] for node in watching.health()[1]["discovery"]["nodes"]} == {
        "vault-a", "vault-b", "vault-c"}


def test_nobody_visible_may_be_the_tokens_fault_and_nobody_there_is_a_fact(watch, consul):
    consul.set([entry("vault-a")])
    watching = watch("--vanish-grace", "0.05")
    watching.follow("vault-a")
    watching.hear(consul.set, [], X_Consul_Default_Acl_Policy="deny")
    words = "the token needs service:read and node:read"
    watching.run.wait_for_line(words)
    assert words in watching.health()[1]["discovery"]["last_error"]
    assert watching.node() == "vault-a"

    consul.set([entry("vault-a")])
    watching.follow("vault-a")
    consul.set([])
    watching.follow(None)
    assert watching.health()[1]["discovery"]["last_error"] is None


def test_the_active_tag_may_be_another(watch, consul):
    consul.set([entry("vault-a", tags=("active",)), entry("vault-b", tags=("leader",))])
    watch("--active-tag", "leader").follow("vault-b")

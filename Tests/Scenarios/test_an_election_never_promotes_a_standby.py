"""--select: by tag, by check, or by what there is; while nobody is active, a passing standby is not."""

import pathlib

import pytest

from harness.consul import entry

TRACES = pathlib.Path(__file__).parents[1] / "DiscoveryTests" / "Fixtures" / "consul" / "failover"

WELL = (("serfHealth", "passing"), ("vault", "passing"))
STANDBY_BY_CHECK = (("serfHealth", "passing"), ("vault", "warning"))


@pytest.mark.parametrize("arguments", [(), ("--select", "auto"), ("--select", "tag")])
def test_a_recorded_election(watch, consul, arguments):
    consul.replay(TRACES / "001.http")
    watching = watch(*arguments)
    watching.follow("vault-a")
    # Nobody is active in 2 and 3, and every check passes.
    for number in ("002", "003"):
        watching.hear(consul.replay, TRACES / f"{number}.http")
        watching.follow(None)
    consul.replay(TRACES / "004.http")
    watching.follow("vault-b")


@pytest.mark.parametrize("arguments, chosen", [
    ((), "vault-b"), (("--select", "auto"), "vault-b"), (("--select", "check"), "vault-b"),
    (("--select", "auto", "-C", "vault"), "vault-b"), (("-C", "vault"), "vault-b"),
    (("--select", "tag"), None), (("-C", "other"), None)])
def test_a_service_without_vaults_tags(watch, consul, arguments, chosen):
    consul.set([
        entry("vault-a", tags=None, checks=STANDBY_BY_CHECK),
        entry("vault-b", tags=("eu",), checks=WELL)])
    watching = watch(*arguments)
    consul.wait_for_requests(2)
    assert watching.node() == chosen


@pytest.mark.parametrize("tags", ["active", "standby", "performance-standby", "initialized"])
def test_one_of_vaults_tags_ends_the_choice_by_check(watch, consul, tags):
    consul.set([entry("vault-a", tags=None, checks=WELL), entry("vault-b", tags=(tags,), checks=WELL)])
    watching = watch()
    consul.wait_for_requests(2)
    assert watching.node() == ("vault-b" if tags == "active" else None)


def test_the_named_check_alone_counts(watch, consul):
    well = (("serfHealth", "passing"), ("vault", "passing"), ("disk", "warning"))
    consul.set([entry("vault-a", tags=None, checks=well)])
    watch("-C", "vault").follow("vault-a")
    consul.wait_for_requests(2)
    watching = watch("--select", "check")
    consul.wait_for_requests(4)  # It has asked on, so it has acted on the answer.
    assert watching.node() is None

"""Several addresses, separated by commas: while one fails, the next one is asked."""

import pytest

from harness.consul import StandInConsul, entry


@pytest.fixture
def second():
    with StandInConsul() as second:
        yield second


def both(first, second) -> str:
    return f"{first.address},{second.address}"


def test_one_is_down_from_the_start(watch, consul, second):
    consul.refuse()
    second.set([entry("vault-b")])
    watching = watch(address=both(consul, second))
    watching.follow("vault-b")


@pytest.mark.parametrize("fault", [
    StandInConsul.refuse, StandInConsul.reset, lambda consul: consul.status(500, "No cluster leader")],
    ids=["refused", "reset", "500"])
def test_one_fails_later(watch, consul, second, fault):
    consul.set([entry("vault-a")], index=100)
    second.set([entry("vault-b")], index=9)
    watching = watch(address=both(consul, second))
    watching.follow("vault-a")
    assert second.requests == []

    fault(consul)
    watching.follow("vault-b")
    # An index means nothing to another agent.
    assert "index" not in second.requests[0].query
    second.set([entry("vault-c")])
    watching.follow("vault-c")


def test_both_fail_and_the_first_comes_back(watch, consul, second):
    consul.set([entry("vault-a")])
    watching = watch("-v", address=both(consul, second))
    watching.follow("vault-a")
    second.refuse()
    consul.refuse()
    # Said once, and every further attempt only in the debug log.
    watching.run.wait_for_line('level=debug msg="consul does not answer"')
    assert watching.node() == "vault-a"

    consul.set([entry("vault-b")])
    consul.start()
    watching.follow("vault-b")

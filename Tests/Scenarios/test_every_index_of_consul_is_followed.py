"""X-Consul-Index at 0, backwards, huge, missing or no number: answers count, and the next question is right."""

import pytest

from harness.consul import entry
from harness.metrics import wait_for_count


def last(watching) -> dict[str, str]:
    return watching.consul.requests[-1].query


def test_it_blocks_on_the_last_index(watch, consul):
    consul.set([entry("vault-a")], index=41)
    watching = watch()
    watching.follow("vault-a")
    consul.wait_for_requests(2)
    first, second = consul.requests[:2]
    assert "index" not in first.query
    assert second.query["index"] == "41"
    assert second.query["wait"] == "10000ms"
    assert "stale" in second.query
    assert first.connection == second.connection


@pytest.mark.parametrize("text", [None, "x", "-1", "1e3", "18446744073709551616", ""])
def test_without_a_number_it_polls(watch, consul, text):
    consul.set([entry("vault-a")], X_Consul_Index=text)
    watching = watch("-p", "0.05")
    watching.follow("vault-a")
    seen = consul.wait_for_requests(4)
    assert all("index" not in request.query for request in seen)
    # Polls are a pause apart, however fast the answers come; this bound is no deadline.
    assert seen[-1].at - seen[0].at > 0.05

    consul.set([entry("vault-b")], index=7)
    watching.follow("vault-b")
    consul.wait_for_requests(len(consul.requests))
    watching.hear(consul.set, [entry("vault-c")], index=8)
    watching.follow("vault-c")
    assert any(request.query.get("index") == "7" for request in consul.requests)


def test_at_zero_it_blocks_on_one(watch, consul):
    consul.set([entry("vault-a")], index=0)
    watching = watch()
    watching.follow("vault-a")
    consul.wait_for_requests(2)
    assert last(watching)["index"] == "1"
    watching.hear(consul.set, [entry("vault-b")], index=0)
    watching.follow("vault-b")


def test_the_greatest_there_is(watch, consul):
    consul.set([entry("vault-a")], index=2**64 - 1)
    watching = watch()
    watching.follow("vault-a")
    consul.wait_for_requests(2)
    assert last(watching)["index"] == str(2**64 - 1)


def test_backwards_it_begins_again(watch, consul):
    consul.set([entry("vault-a")], index=5000)
    watching = watch()
    watching.follow("vault-a")
    consul.wait_for_requests(2)

    # The answer counts, and the next question is asked as the first one was.
    watching.hear(consul.set, [entry("vault-b")], index=12)
    assert "index" not in consul.requests[2].query
    watching.follow("vault-b")
    consul.wait_for_requests(4)
    assert consul.requests[3].query["index"] == "12"
    watching.hear(consul.set, [entry("vault-c")], index=13)
    watching.follow("vault-c")


def test_a_new_index_with_the_old_content_changes_nothing(watch, consul):
    consul.set([entry("vault-a")])
    watching = watch()
    watching.follow("vault-a")
    for _ in range(5):
        watching.hear(consul.set, [entry("vault-a")])
    assert watching.node() == "vault-a"
    wait_for_count(watching.run, "active_node_changes_total", 1)

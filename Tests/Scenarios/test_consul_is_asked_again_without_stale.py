"""A server without a leader, or long without contact to it, is not believed: the leader is asked."""

import pytest

from harness.consul import entry


@pytest.mark.parametrize("field, value", [
    ("X_Consul_Knownleader", "false"), ("X_Consul_Lastcontact", "30000"),
    ("X_Consul_Lastcontact", "10001")])
def test_an_old_answer(watch, consul, field, value):
    consul.set([entry("vault-a")])
    watching = watch()
    watching.follow("vault-a")
    consul.wait_for_requests(2)

    # Third: the question repeated without `stale`, which must not block. Its answer counts, whatever it says.
    watching.hear(consul.set, [entry("vault-b")], **{field: value})
    repeated = consul.wait_for_requests(3)[2]
    assert repeated.query == {}
    watching.follow("vault-b")

    # Fourth: the next one may be stale again.
    assert "stale" in consul.wait_for_requests(4)[3].query


def test_ten_seconds_are_no_reason(watch, consul):
    consul.set([entry("vault-a")], X_Consul_Lastcontact="10000")
    watching = watch()
    watching.follow("vault-a")
    assert all("stale" in request.query for request in consul.wait_for_requests(2))
    assert watching.metrics()("consul_last_contact_seconds") == 10
    assert watching.metrics()("consul_known_leader") == 1

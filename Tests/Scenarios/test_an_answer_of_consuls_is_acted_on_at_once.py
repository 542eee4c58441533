"""How long it takes from Consul's answer to the first redirect that obeys it; printed, and not judged."""

import statistics
import time

from harness.consul import entry
from harness.metrics import wait_for_count

ROUNDS = 12  # Fewer than the bucket lets through at once: more of them would be slowed down on purpose.


def test_without_a_pause(watch, consul, capsys):
    consul.set([entry("vault-0")])
    watching = watch()
    watching.follow("vault-0")
    delays = []
    for number in range(1, ROUNDS + 1):
        consul.wait_for_requests(number + 1)  # It blocks again.
        name = f"vault-{number}"
        began = time.monotonic()
        consul.set([entry(name)])
        while watching.node() != name:
            pass
        delays.append((time.monotonic() - began) * 1000)
    wait_for_count(watching.run, "active_node_changes_total", ROUNDS + 1)
    with capsys.disabled():
        print(f"\nfrom Consul's answer to the first redirect, ×{ROUNDS}: "
              f"median {statistics.median(delays):.1f} ms, at most {max(delays):.1f} ms")


def test_churn_is_slowed_down_and_still_followed(watch, consul):
    """Forty answers in one go: no more than the bucket lets through are asked for, and the last one counts."""
    consul.set([entry("vault-0")])
    watching = watch()
    watching.follow("vault-0")
    began = time.monotonic()
    for number in range(40):
        consul.set([entry(f"vault-{number}")])
        time.sleep(0.02)
    watching.follow("vault-39")
    passed = time.monotonic() - began
    # Sixteen at once, then one a second: a slow machine makes the bound higher, never lower.
    assert len(consul.requests) <= 16 + 2 + passed

"""5,000 idle connections, or 1,000 with TLS: little memory each, no record buffers, and every one still served."""

import pytest

from harness.metrics import wait_for_count


@pytest.mark.parametrize(("tls", "count", "bytes_each"), [
    (False, 5000, 2 << 10), (True, 1000, 18 << 10)])
def test_idle(serving, dial, many_descriptors, tls, count, bytes_each):
    run = serving(tls=tls)
    with dial(run) as warm:
        warm.request("GET", "/", Connection="close")
    before = run.memory()["Rss"]
    idle = []
    for _ in range(count):
        idle.append(dial(run, seconds=60))
        assert idle[-1].request("GET", "/").status == 307
    metrics = wait_for_count(run, "connections_active", count + 1)
    assert metrics("connections_rejected_total") == 0
    assert run.memory()["Rss"] - before < count * bytes_each + (2 << 20)
    for number, connection in enumerate(idle):
        response = connection.request("GET", f"/{number}")
        assert response["Location"].endswith(f"/{number}")
        connection.socket.close()
    wait_for_count(run, "connections_active", 1)

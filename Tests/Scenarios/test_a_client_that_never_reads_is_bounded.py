"""A client that pipelines and never reads: stopped, little memory, and closed when the write timeout is over."""

import threading

from harness.late import server_end
from harness.metrics import wait_for_count

REQUESTS = 500 * (b"GET /" + 900 * b"x" + b" HTTP/1.1\r\nHost: x\r\n\r\n")


def send_until_nobody_takes(run, client):
    """Until it blocks for a second while the server has answers that it cannot send, and reads nothing: or is closed."""
    client.settimeout(1)
    left = memoryview(REQUESTS)
    while True:
        try:
            left = left[client.send(left):] or memoryview(REQUESTS)
        except TimeoutError:
            end = server_end(run, client)
            if end.unsent and end.unread or end.state is None:
                return
        except OSError:
            return


def test_it_is_closed(serving, dial, transport):
    run = serving("--write-timeout", "3", tls=transport == "tls")
    with dial(run) as warm:
        warm.request("GET", "/", Connection="close")
    before = run.memory()["Rss"]
    greedy = [dial(run) for _ in range(4)]
    for connection in greedy:
        send_until_nobody_takes(run, connection.socket)
    # Others are served meanwhile.
    with dial(run) as other:
        assert other.request("GET", "/").status == 307
    assert run.memory()["Rss"] - before < 6 << 20
    wait_for_count(run, "connections_closed_total", len(greedy), reason="write_timeout")
    for connection in greedy:
        connection.socket.close()
    assert run.memory()["Rss"] - before < 6 << 20


def test_one_that_reads_slowly_is_served_whole(serving, dial, transport):
    run = serving("--write-timeout", "30", tls=transport == "tls")
    count = 20_000
    with dial(run, seconds=60) as connection:
        writer = threading.Thread(
            target=lambda: connection.send(count * b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), daemon=True)
        writer.start()
        for _ in range(count):
            assert connection.response().status == 307
        writer.join()

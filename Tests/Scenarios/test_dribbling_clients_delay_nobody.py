"""1,000 clients that send a byte a second: each ended by the head's deadline, and nobody else waits for them."""

import threading

from harness.metrics import scrape, wait_for_count
from harness.polling import wait_until

CLIENTS = 1000
HEAD = b"GET /v1/x HTTP/1.1\r\nHost: x\r\nX-Long: " + 1000 * b"x"


def dribble(connections, stopping):
    """Sends one more byte of a head on each of them, once a second, until they are closed."""
    left = {connection: iter(HEAD[1:]) for connection in connections}
    while left and not stopping.wait(1):
        for connection in list(left):
            try:
                connection.send(bytes([next(left[connection])]))
            except OSError:
                del left[connection]


def test_1000_clients(serving, dial, many_descriptors, transport):
    run = serving("--head-timeout", "6", tls=transport == "tls")
    slow = []
    for _ in range(CLIENTS):
        slow.append(dial(run, seconds=60))
        slow[-1].send(HEAD[:1])
    stopping = threading.Event()
    thread = threading.Thread(target=dribble, args=(slow, stopping), daemon=True)
    thread.start()
    with dial(run, seconds=60) as good:

        def all_ended():
            for _ in range(100):
                assert good.request("GET", "/v1/x").status == 307
            return scrape(run)("http_requests_total", code="408") == CLIENTS

        wait_until("every slow client to be told 408", all_ended, seconds=120)
    stopping.set()
    thread.join()
    # Those that read their answer find it whole.
    for connection in slow[:50]:
        assert connection.response().status == 408
    for connection in slow:
        connection.socket.close()
    wait_for_count(run, "connections_closed_total", CLIENTS, reason="head_timeout")

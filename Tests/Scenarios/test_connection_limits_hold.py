"""--max-connections, --max-connections-per-ip, --max-requests-per-connection, each with what happens at the limit."""

import ssl

import pytest

from harness.http import Connection, ConnectionEnded
from harness.metrics import scrape, wait_for_count
from harness.polling import wait_until

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HALF = REQUEST[:-2]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_at_the_limit_an_idle_connection_makes_room(serving, dial, transport, workers):
    run = serving(
        "--max-connections", "10", "--workers", workers, tls=transport == "tls")
    idle = [dial(run, seconds=60) for _ in range(10)]
    for connection in idle:
        assert connection.request("GET", "/").status == 307
    for number in range(1, 6):
        with dial(run, seconds=60) as new:
            assert new.request("GET", "/").status == 307
            # Ten places: the new one took an idle one's, and that one was told with a clean end.
    ended = 0
    for connection in idle:
        connection.socket.setblocking(False)
        try:
            ended += connection.read_to_end() == b""
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        connection.socket.close()
    assert 1 <= ended <= 5
    # Who is told goodbye is counted a moment later.
    wait_until("the count of them", lambda: scrape(run).closed("reclaimed") >= ended)


def test_the_idle_connection_may_be_another_worker_s(serving, dial):
    run = serving("--max-connections", "1", "--workers", "4", tls=False)
    connections = []
    for _ in range(20):
        connections.append(dial(run, seconds=60))
        assert connections[-1].request("GET", "/").status == 307
    for connection in connections[:-1]:
        assert connection.read_to_end() == b""
        connection.socket.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_where_none_is_idle_new_ones_wait_in_the_backlog(serving, dial, workers):
    run = serving("--max-connections", "5", "--workers", workers, tls=False)
    busy = [dial(run, seconds=60) for _ in range(5)]
    for connection in busy:
        connection.send(HALF)
    waiting = [dial(run, seconds=60) for _ in range(3)]
    for connection in waiting:
        connection.send(REQUEST)
    for connection in busy:
        connection.send(b"\r\n")
        assert connection.response().status == 307
    for connection in waiting:
        assert connection.response().status == 307
        connection.socket.close()
    for connection in busy:
        connection.socket.close()
    wait_for_count(run, "connections_active", 1)


def is_gone(connection: Connection) -> bool:
    """The server's end is closed: what is sent to it is refused."""
    try:
        connection.send(REQUEST)
    except OSError:
        return True
    return False


def test_connections_of_one_address(serving, dial):
    run = serving("--max-connections-per-ip", "3", tls=False)
    three = [dial(run) for _ in range(3)]
    for connection in three:
        assert connection.request("GET", "/").status == 307
    fourth = dial(run)
    with pytest.raises((ConnectionEnded, ConnectionError)):
        fourth.request("GET", "/")
    wait_until("it to be gone", lambda: is_gone(fourth))
    three.pop().socket.close()

    def served():
        try:
            with dial(run) as connection:
                return connection.request("GET", "/").status == 307
        except (ConnectionEnded, ConnectionError):
            return False

    wait_until("the place to be free", served)


def test_connections_of_one_client_behind_a_load_balancer(serving):
    run = serving(
        "--max-connections-per-ip", "2", "--proxy-protocol", "v1", "--proxy-protocol-from",
        "127.0.0.1", "--proxy-header-timeout", "60", tls=False)
    # All of them come from the balancer's one address; the clients are told apart once their headers are here.
    connections = [Connection(run.port) for _ in range(6)]
    for number, connection in enumerate(connections):
        connection.send(b"PROXY TCP4 192.0.2.%d 192.0.2.99 1 2\r\n" % (number // 2) + REQUEST)
    for connection in connections:
        assert connection.response().status == 307
    with Connection(run.port) as seventh:
        seventh.send(b"PROXY TCP4 192.0.2.0 192.0.2.99 1 2\r\n" + REQUEST)
        with pytest.raises((ConnectionEnded, ConnectionError)):
            seventh.response()
    wait_for_count(run, "connections_rejected_total", 1, reason="address_limit")
    for connection in connections:
        connection.socket.close()
    wait_for_count(run, "connections_active", 1)
    with Connection(run.port) as again:
        again.send(b"PROXY TCP4 192.0.2.0 192.0.2.99 1 2\r\n" + REQUEST)
        assert again.response().status == 307


def test_requests_of_one_connection(serving, dial, transport):
    run = serving("--max-requests-per-connection", "3", tls=transport == "tls")
    with dial(run) as connection:
        for _ in range(2):
            assert "Connection" not in connection.request("GET", "/")
        assert connection.request("GET", "/")["Connection"] == "close"
        assert connection.read_to_end() == b""
    with dial(run) as connection:
        connection.send(5 * REQUEST)
        assert [connection.response().status for _ in range(3)] == [307, 307, 307]
        assert connection.read_to_end() == b""

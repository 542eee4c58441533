"""At --max-connections a new connection takes the place of the one that is idle longest, wherever it was put."""

import random
import ssl

import pytest

from harness.metrics import wait_for_count

COUNT = 24


@pytest.fixture
def open_one(dial):
    """Opens a connection that is idle after its first answer."""

    def open_one(run):
        connection = dial(run, seconds=60)
        ask(connection)
        return connection

    return open_one


def ask(connection):
    assert connection.request("GET", "/v1/x").status == 307


def has_ended(connection) -> bool:
    """It came to a clean end; else nothing came."""
    connection.socket.setblocking(False)
    try:
        assert connection.socket.recv(1) == b""
        return True
    except (BlockingIOError, ssl.SSLWantReadError):
        connection.socket.settimeout(60)
        return False


def take_ended(order: list) -> int:
    """Takes those out of the line that have ended, from its front and nowhere else, and gives their number."""
    ended = [has_ended(connection) for connection in order]
    count = sum(ended)
    assert all(ended[:count]), f"of the oldest first: {''.join('-+'[one] for one in ended)}"
    for connection in order[:count]:
        connection.socket.close()
    del order[:count]
    return count


@pytest.mark.parametrize("seed", range(3))
def test_in_the_order_of_their_last_answers(serving, open_one, transport, seed):
    run = serving("--max-connections", COUNT, "--workers", "1", tls=transport == "tls")
    order = [open_one(run) for _ in range(COUNT - 1)]  # There is room for a scrape.
    chance = random.Random(seed)
    # Some end, and others come in their places.
    for _ in range(COUNT // 3):
        order.pop(chance.randrange(len(order))).socket.close()
    wait_for_count(run, "connections_active", len(order) + 1)
    while len(order) < COUNT - 1:
        order.append(open_one(run))
    # Who asks goes to the end of the line.
    for _ in range(5 * COUNT):
        order.append(order.pop(chance.randrange(len(order))))
        ask(order[-1])

    ended = 0
    for _ in range(2 * COUNT):
        new = open_one(run)
        ended += take_ended(order)
        order.append(new)
    assert ended >= COUNT


def test_one_goes_for_one_that_comes(serving, open_one, transport):
    run = serving("--max-connections", COUNT, "--workers", "1", tls=transport == "tls")
    order = [open_one(run) for _ in range(COUNT)]
    assert take_ended(order) == 0
    for _ in range(COUNT):
        new = open_one(run)
        assert take_ended(order) == 1
        order.append(new)


def test_one_in_the_middle_of_a_head_is_not_idle(serving, open_one, transport):
    run = serving(
        "--max-connections", "3", "--workers", "1", "--head-timeout", "60", tls=transport == "tls")
    busy, other = open_one(run), open_one(run)
    busy.send(b"GET /v1/busy HTTP/1.1\r\nHost: x\r\n")
    ask(other)  # Once this is answered, the half of a head has been read.
    opened = [open_one(run) for _ in range(10)]
    busy.send(b"\r\n")
    assert busy.response()["Location"].endswith("/v1/busy")
    for connection in opened:
        connection.socket.close()

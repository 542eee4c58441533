"""--max-connections-per-ip is for clients: who asks --admin comes from the same address, and is answered."""

import contextlib

import pytest

from harness.http import Connection, ConnectionEnded
from harness.metrics import scrape

LIMIT = 2


def test_at_the_limit_of_an_address(serving, dial, transport):
    run = serving("--max-connections-per-ip", LIMIT, "--workers", "1", tls=transport == "tls")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(dial(run, seconds=60)) for _ in range(LIMIT)]
        for client in clients:
            assert client.request("GET", "/v1/x").status == 307
        assert scrape(run)("connections_active") == LIMIT + 1
        admins = [
            stack.enter_context(Connection(run.admin_port, seconds=60)) for _ in range(2 * LIMIT)]
        for admin in admins:
            assert admin.request("GET", "/vault-redirector-health").status == 200
        # And the limit holds for clients all the same.
        with pytest.raises((ConnectionEnded, OSError)), dial(run, seconds=60) as third:
            third.request("GET", "/v1/x")


def test_those_of_operators_leave_clients_their_places(serving, dial, transport):
    run = serving("--max-connections-per-ip", LIMIT, "--workers", "1", tls=transport == "tls")
    with contextlib.ExitStack() as stack:
        for _ in range(2 * LIMIT):
            admin = stack.enter_context(Connection(run.admin_port, seconds=60))
            assert admin.request("GET", "/metrics").status == 200
        for _ in range(LIMIT):
            client = stack.enter_context(dial(run, seconds=60))
            assert client.request("GET", "/v1/x").status == 307

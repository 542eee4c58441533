"""One node hangs, one refuses, one resets or hangs up: the one that is active is found all the same."""

import contextlib
import socket
import struct
import threading

import pytest

from harness.metrics import scrape
from harness.polling import wait_until
from harness.ports import Port


@contextlib.contextmanager
def listener(serve):
    """A port on which every connection is given to `serve`, in a thread of its own."""
    server = socket.create_server(("127.0.0.1", 0), backlog=64)
    kept = []

    def accept():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            kept.append(connection)
            serve(connection)

    threading.Thread(target=accept, daemon=True).start()
    yield f"https://127.0.0.1:{server.getsockname()[1]}"
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    for connection in kept:
        connection.close()


def hang(connection):
    pass


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


NAMES = ["hung", "refusing", "resetting", "active"]


@pytest.mark.parametrize("order", [NAMES[first:] + NAMES[:first] for first in range(len(NAMES))], ids="-".join)
def test_in_any_order(redirector, dial, certificates, vault, order):
    with listener(hang) as hung, listener(reset) as resetting, contextlib.closing(Port()) as port:
        refusing = f"https://127.0.0.1:{port.number}"
        nodes = {"hung": hung, "refusing": refusing, "resetting": resetting, "active": vault.origin}
        words = [word for name in order for word in ("--vault-addr", nodes[name])]
        run = redirector(
            "--bind", "127.0.0.1", "--admin", "127.0.0.1:0", "--vault-cacert", certificates.ca, *words,
            "--probe-interval", "0.2", "--probe-timeout", "3600", listeners=2)
        with dial(run) as connection:
            location = lambda: dict(connection.request("GET", "/v1/x").fields).get("Location")
            # The hung one may take an hour: nobody waits for it.
            wait_until("the active one", lambda: location() == vault.origin + "/v1/x")
        seen = vault.requests
        wait_until("more probes", lambda: vault.requests >= seen + 2)
        metrics = scrape(run)
        assert metrics("probe_status_code", node=vault.origin) == 200
        for name in ("hung", "refusing", "resetting"):
            assert metrics("probe_status_code", node=nodes[name]) == 0
        assert metrics("active_node_changes_total") == 1

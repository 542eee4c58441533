"""When clients are gone, nothing of the tokens that they sent is left in the process's memory."""

import pathlib
import re

import pytest

from harness.floods import reset
from harness.http import Connection
from harness.metrics import wait_for_count
from harness.polling import wait_until
from harness.redirector import for_root
from harness.tls import versioned

CLIENTS = 100
TOKEN = re.compile(rb"hvs\.TOKEN\d{6}secret")


def token(number: int) -> bytes:
    return b"hvs.TOKEN%06dsecret" % number


def request(number: int, method: bytes = b"GET", more: bytes = b"", body: bytes = b"") -> bytes:
    head = b"%s /v1/x HTTP/1.1\r\nHost: x\r\nX-Vault-Token: %s\r\n" % (method, token(number))
    return head + more + b"\r\n" + body


def put(number: int, bytes: int) -> bytes:
    body = (token(number) * (bytes // len(token(0)) + 1))[:bytes]
    return request(number, b"PUT", b"Content-Length: %d\r\n" % bytes, body)


# What a client sends, and how many answers it gets.
SENT = {
    "a request": (request, 1),
    "a request and the wish to close": (lambda n: request(n, more=b"Connection: close\r\n"), 1),
    "150 requests": (lambda n: 150 * request(n), 150),
    "a large head": (lambda n: request(n, more=b"X-A: " + 1000 * token(n) + b"\r\n"), 1),
    "a small body": (lambda n: put(n, 100), 1),
    "a large body": (lambda n: put(n, 40_000), 1),
    "a body too large": (lambda n: put(n, 200_000), 1),
    "a refused request": (lambda n: request(n, more=b"Bad Name: y\r\n"), 1),
    "half a head": (lambda n: request(n)[:-2], 0),
    "a request and half a head": (lambda n: request(n) + request(n)[:-2], 1),
    "half a body": (lambda n: put(n, 10_000)[:-5000], 1),
}


def tokens_in_memory(run) -> dict[str, int]:
    """How many different tokens each kind of writable mapping holds."""
    found: dict[str, int] = {}
    with for_root():
        maps = pathlib.Path(f"/proc/{run.pid}/maps").read_text().splitlines()
    with open(f"/proc/{run.pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            fields = line.split()
            if "w" not in fields[1] or "r" not in fields[1]:
                continue
            start, end = (int(number, 16) for number in fields[0].split("-"))
            memory.seek(start)
            try:
                tokens = set(TOKEN.findall(memory.read(end - start)))
            except OSError:
                continue  # It was unmapped meanwhile.
            if tokens:
                name = fields[5] if len(fields) > 5 else "anonymous"
                found[name] = found.get(name, 0) + len(tokens)
    return found


@pytest.fixture(params=["1.2", "1.3", "plain"])
def client_tls(request, certificates):
    if request.param == "plain":
        return None
    return versioned(certificates.client_context(), request.param)


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("what", SENT)
def test_tokens(serving, client_tls, what, end):
    run = serving("--max-body", "100000", tls=bool(client_tls))
    make, answers = SENT[what]
    connections = [Connection(run.port, tls=client_tls, seconds=60) for _ in range(CLIENTS)]
    for number, connection in enumerate(connections):
        connection.send(make(number))
    for connection in connections:
        for _ in range(answers):
            connection.response()
    for connection in connections:
        if end == "reset":
            reset(connection.socket)
        connection.socket.close()
    # Of those that get no answer a worker may have yet to hear.
    wait_for_count(run, "connections_accepted_total", CLIENTS, listener="public")
    wait_for_count(run, "connections_active", 1)
    # The last of them is counted a moment before its memory is wiped.
    wait_until("no token to be left", lambda: not tokens_in_memory(run))

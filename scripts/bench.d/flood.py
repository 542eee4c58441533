#!/usr/bin/env python3
"""What ordinary clients feel of one that floods: their latency calm and beside it, and what the server holds.

    scripts/bench.d/flood.py BINARY --kind keyupdate|renegotiation|pipelining [--seconds 30]

50 keep-alive TLS clients ask every 50 ms, for as long calm as beside the flood; one process sends that, on one
connection at a time, and gives way to the others: a flood from elsewhere takes none of their CPU. It pins nothing.
"""

import argparse
import multiprocessing
import os
import pathlib
import selectors
import signal
import ssl
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "Tests" / "Scenarios"))

from harness.certs import Certificates
from harness.floods import Flood, connect
from harness.http import Connection
from harness.metrics import scrape
from harness.openssl import RECORD_OVERHEAD, Session, TLSFailed
from harness.redirector import Redirector
from harness.vault import StandInVault

CLIENTS, PERIOD = 50, 0.05
RECORD = 65
REQUEST = b"GET /v1/x HTTP/1.1\r\nHost: localhost\r\n\r\n"
SPARE = 30  # seconds that everything besides the two measurements may take


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--kind", choices=KINDS, required=True)
    parser.add_argument("--seconds", type=float, default=30, help="calm, and then beside the flood")
    return parser.parse_args()


# MARK: The flood

def key_updates(session: Session) -> bytes:
    return session.key_updates(1000)


def renegotiations(session: Session) -> bytes:
    return session.renegotiations(1000, RECORD)


def pipelined(session: Session) -> bytes:
    return session.sealed(1000 * REQUEST)


# By what version, with what inside each record, and what makes more of it.
KINDS = {
    "keyupdate": ("1.3", RECORD - RECORD_OVERHEAD, key_updates),
    "renegotiation": ("1.2", 0, renegotiations),
    "pipelining": ("1.3", 0, pipelined),
}


def flood(port: int, kind: str, seconds: float, results):
    """One connection after the other, each for as long as the server lets it."""
    os.nice(19)
    version, padding, make = KINDS[kind]
    end = time.monotonic() + seconds
    connections = refused = sent = received = 0
    while time.monotonic() < end:
        try:
            connection = connect(port, seconds=5)
            connections += 1
            session = Session(version, padding)
            connection.sendall(session.handshake(connection))
        except (OSError, TLSFailed):
            refused += 1
            time.sleep(0.1)  # Nobody is there, or nobody answers: that is seen elsewhere.
            continue
        more = lambda: make(session)
        with Flood(connection, more(), more) as one:
            while not one.is_over and time.monotonic() < end:
                time.sleep(0.01)
        sent, received = sent + one.sent, received + one.received
    results.send((connections, refused, sent, received))


# MARK: The others

class Client:
    """One keep-alive connection, never blocking once it is made."""

    def __init__(self, port: int, tls: ssl.SSLContext):
        self.connection = Connection(port, tls=tls, seconds=10)
        self.connection.request("GET", "/v1/x")
        self.connection.socket.setblocking(False)
        self.due, self.asked = 0.0, None

    def ask(self, now: float):
        self.connection.send(REQUEST)
        # From when it was due: a client that is kept waiting asks late, and that is felt too.
        self.asked = self.due
        self.due = max(self.due + PERIOD, now)

    def hear(self, now: float) -> float | None:
        """Seconds that the answer took; None where it is not whole yet."""
        try:
            while b"\r\n\r\n" not in self.connection.leftover:
                data = self.connection.socket.recv(65536)
                if not data:
                    raise ConnectionError("closed")
                self.connection.leftover += data
        except (ssl.SSLWantReadError, BlockingIOError):
            return None
        self.connection.response()
        took, self.asked = now - self.asked, None
        return took


def ask(port: int, tls: ssl.SSLContext, seconds: float, results):
    """All clients from one thread, which never waits for one of them."""
    latencies, failures = [], 0
    selector = selectors.DefaultSelector()
    clients = []
    for _ in range(CLIENTS):
        clients.append(Client(port, tls))
        selector.register(clients[-1].connection.socket, selectors.EVENT_READ, clients[-1])
    start = time.monotonic()
    for number, client in enumerate(clients):
        client.due = start + PERIOD * number / CLIENTS
    end = start + seconds
    while clients and (now := time.monotonic()) < end:
        try:
            for client in clients:
                if client.asked is None and client.due <= now:
                    client.ask(now)
            waiting = [client.due for client in clients if client.asked is None]
            for key, _ in selector.select(max(0, min([*waiting, end]) - now)):
                client = key.data
                took = client.hear(time.monotonic())
                if took is not None:
                    latencies.append(took)
        except OSError:
            failures += 1
            selector.unregister(client.connection.socket)
            clients.remove(client)
    # Those still waiting have waited so long at least.
    latencies += [end - client.asked for client in clients if client.asked is not None]
    results.send((latencies, failures))


# MARK: Measuring

class Child:
    """A process for one function; its result, or None where it has none in time."""

    def __init__(self, function, *arguments):
        self._results, theirs = multiprocessing.Pipe(duplex=False)
        self._process = multiprocessing.Process(
            target=function, args=(*arguments, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def result(self, seconds: float):
        try:
            return self._results.recv() if self._results.poll(seconds) else None
        except EOFError:
            return None
        finally:
            self._process.terminate()
            self._process.join()


def show(title: str, result):
    if result is None or not result[0]:
        print(f"{title:<10} no answers")
        return
    latencies, failures = result
    cuts = statistics.quantiles(latencies, n=100, method="inclusive")
    milliseconds = [f"{name} {1000 * value:8.2f} ms" for name, value in (
        ("p50", cuts[49]), ("p99", cuts[98]), ("max", max(latencies)))]
    print(f"{title:<10} {'  '.join(milliseconds)}  {len(latencies)} answers, {failures} failures")


def mebibytes(run: Redirector) -> float:
    return run.memory()["Rss"] / 2**20


def measure(run: Redirector, certificates: Certificates, kind: str, seconds: float):
    tls = ssl.create_default_context(cafile=certificates.ca)
    clients = lambda: Child(ask, run.port, tls, seconds)
    show("calm", clients().result(seconds + SPARE))
    before = mebibytes(run)
    flooding = Child(flood, run.port, kind, seconds)
    show("flood", clients().result(seconds + SPARE))
    sent = flooding.result(SPARE)
    if sent:
        connections, refused, out, back = sent
        print(f"the flood: {connections} connections, {refused} of them refused, "
              f"{out / 2**20:.1f} MiB sent, {back / 2**20:.1f} MiB received")
    if run.process.poll() is not None:
        print(f"the process exited {run.process.returncode}")
        return
    print(f"memory: {before:.2f} MiB before, {mebibytes(run):.2f} MiB after")
    try:
        reasons = scrape(run).nonzero("connections_closed_total", "reason")
        print("closed:", ", ".join(f"{name} {count:g}" for name, count in reasons.items()))
    except (OSError, AssertionError) as error:
        print(f"/metrics does not answer: {error}")


def main():
    options = parse_options()
    # Whatever hangs, this ends.
    signal.alarm(int(2 * options.seconds + 5 * SPARE))
    with tempfile.TemporaryDirectory() as scratch:
        directory = pathlib.Path(scratch)
        certificates = Certificates.make(directory / "certs")
        with StandInVault(certificates) as vault:
            run = Redirector(
                "--bind", "127.0.0.1", "--admin", "127.0.0.1:0", "--workers", "1",
                "--vault-addr", vault.origin, "--vault-cacert", certificates.ca,
                "-c", certificates.chain, "-k", certificates.key,
                binary=options.binary, log=directory / "log", listeners=2)
            try:
                run.wait_for_line("active vault node changed")
                measure(run, certificates, options.kind, options.seconds)
            finally:
                run.kill()


if __name__ == "__main__":
    main()

"""How soon clients are led to a new active node, under load."""

import subprocess
import threading
import time

import figures
import servers
from clients import Clients
from figures import Row
from harness.consul import StandInConsul, entry
from harness.polling import wait_until
from scenarios import Bench
from staying import half_of_the_slowest

LOAD_SECONDS = 600  # longer than the scenario: it is ended with its client


class TimedConsul(StandInConsul):
    """Notes when it began to send each answer."""

    def __init__(self):
        super().__init__()
        self.sent = 0.0

    def _respond(self, handler, request):
        send = handler.send

        def timed(answer):
            self.sent = time.monotonic()
            send(answer)

        handler.send = timed
        super()._respond(handler, request)


class Watch:
    """probe.c on one connection: when the Location became another."""

    def __init__(self, clients: Clients, port: int):
        self._process = subprocess.Popen(
            [clients.program("probe"), str(port), clients.request, "watch"],
            stdout=subprocess.PIPE, text=True)
        self.changes: list[tuple[float, str]] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> "Watch":
        self._reader.start()
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        self._reader.join()
        self._process.stdout.close()

    def wait_for(self, count: int) -> tuple[float, str]:
        """The change with this number."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.changes) >= count, 10):
                raise RuntimeError("no redirect to the new node within 10 s")
            return self.changes[count - 1]

    def _read(self):
        for line in self._process.stdout:
            moment, _, location = line.strip().partition(" ")
            with self._changed:
                self.changes.append((float(moment), location))
                self._changed.notify_all()


class Publish:
    """Ours: from Consul's answer to the first redirect that a client sees, at half load."""

    title = "publish of a new node"

    def run(self, bench: Bench) -> list[Row]:
        row = Row(f"{self.title}, half load", "ours", "ms")
        port = int(bench.setting().target.rpartition(":")[2])
        with TimedConsul() as consul:
            consul.set([entry("node", "127.0.0.1", port)])
            setting = bench.setting(tls_only=True, consul=consul.address)
            connections = bench.options.connections
            with (
                servers.Ours(setting) as server,
                bench.clients.load(server.tls_port, connections, connections) as load,
            ):
                load_rate = half_of_the_slowest(bench, {server: load})
                load.begin(LOAD_SECONDS, load_rate)
                with Watch(bench.clients, server.tls_port) as watch:
                    watch.wait_for(1)
                    self._change(bench.options.changes, consul, watch, row)
        slowest = Row(f"slowest of {len(row.values)} publishes", "ours", "ms", [max(row.values)])
        return [row, slowest]

    def _change(self, changes: int, consul: TimedConsul, watch: Watch, row: Row):
        for number in range(changes):
            asks_for_the_next = lambda: (
                consul.requests[-1].query.get("index") == str(consul.index))
            wait_until("the next query to Consul", asks_for_the_next, 10, interval=0.002)
            time.sleep(0.03)  # the change comes to a quiet query, as it does in a cluster
            address = f"127.0.1.{1 + number % 2}"
            consul.set([entry("node", address, 8200)])
            moment, location = watch.wait_for(number + 2)
            if address not in location:
                raise RuntimeError(f"led to {location}, not to {address}")
            row.values.append((moment - consul.sent) * 1000)
            figures.progress(f"{self.title}: {number + 1} of {changes}")

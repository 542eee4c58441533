"""How soon clients are led to a new active node, under load."""

import subprocess
import threading
import time
from collections.abc import Callable

import figures
import servers
from clients import Clients
from figures import Row
from harness.consul import StandInConsul, entry
from harness.polling import wait_until
from harness.vault import StandInVault
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
        self._seen = 0
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

    def wait_for(self, origin: str) -> float:
        """When clients were led to `origin` next; before that there may have been no node."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._led_to(origin), 10):
                raise RuntimeError(f"no redirect to {origin} within 10 s")
            return self.changes[self._seen - 1][0]

    def _led_to(self, origin: str) -> bool:
        while self._seen < len(self.changes):
            self._seen += 1
            if origin in self.changes[self._seen - 1][1]:
                return True
        return False

    def _read(self):
        for line in self._process.stdout:
            moment, _, location = line.strip().partition(" ")
            with self._changed:
                self.changes.append((float(moment), location))
                self._changed.notify_all()


class Publish:
    """Ours, at half load: from Consul's answer, or a node's own 200, to the first redirect to it."""

    title = "publish of a new node"

    def run(self, bench: Bench) -> list[Row]:
        return self._by_consul(bench) + self._by_probes(bench)

    def _by_consul(self, bench: Bench) -> list[Row]:
        row = Row("publish of Consul's word, half load", "ours", "ms")
        port = int(bench.setting().target.rpartition(":")[2])
        with TimedConsul() as consul:
            consul.set([entry("node", "127.0.0.1", port)])

            def change(number: int, watch: Watch):
                asks_for_the_next = lambda: (
                    consul.requests[-1].query.get("index") == str(consul.index))
                wait_until("the next query to Consul", asks_for_the_next, 10, interval=0.002)
                time.sleep(0.03)  # the change comes to a quiet query, as it does in a cluster
                address = f"127.0.1.{1 + number % 2}"
                consul.set([entry("node", address, 8200)])
                row.values.append((watch.wait_for(address) - consul.sent) * 1000)

            setting = bench.setting(tls_only=True, consul=consul.address)
            return self._rows(bench, setting, row, change)

    def _by_probes(self, bench: Bench) -> list[Row]:
        row = Row("publish of a node's 200, half load", "ours", "ms")
        certificates = bench.setting().certificates
        with StandInVault(certificates) as first, StandInVault(certificates, status=429) as second:

            def change(number: int, watch: Watch):
                old, new = (second, first) if number % 2 else (first, second)
                seen = len(new.answers)
                old.status, new.status = 429, 200
                moment = watch.wait_for(new.origin)
                said = next(at for at, status in new.answers[seen:] if status == 200)
                row.values.append((moment - said) * 1000)

            setting = bench.setting(
                tls_only=True, target=first.origin, standbys=(second.origin,))
            return self._rows(bench, setting, row, change)

    def _rows(
        self, bench: Bench, setting: servers.Setting, row: Row, change: Callable
    ) -> list[Row]:
        """`change` makes one change and adds to the row what it took."""
        connections, changes = bench.options.connections, bench.options.changes
        with (
            servers.Ours(setting) as server,
            bench.clients.load(server.tls_port, connections, connections) as load,
        ):
            load_rate = half_of_the_slowest(bench, {server: load})
            load.begin(LOAD_SECONDS, load_rate)
            with Watch(bench.clients, server.tls_port) as watch:
                watch.wait_for("https://")
                for number in range(changes):
                    change(number, watch)
                    figures.progress(f"{row.scenario}: {number + 1} of {changes}")
        return [row, Row(f"slowest of {len(row.values)} such", "ours", "ms", [max(row.values)])]

"""Scenarios of connections that stay: latency at half load, many of them, and what they hold."""

import contextlib
import statistics

import figures
import servers
from clients import Load
from figures import Row
from scenarios import Bench

BUSY = 16  # connections that ask, where others only stay
# No client here leaves a connection quiet for longer: the servers close one after 300 s.
HOLD_SECONDS = 200


def half_of_the_slowest(bench: Bench, clients: dict[servers.Server, Load]) -> float:
    """Half the rate of the server that answers least, all asked as fast as they answer."""
    rounds: dict[servers.Server, list[float]] = {server: [] for server in clients}
    for _ in range(1 if bench.options.rounds < 10 else 3):
        for server, client in clients.items():
            counts = client.round(1)
            rounds[server].append(counts["answered"] / counts["seconds"])
    return min(map(statistics.median, rounds.values())) / 2


class HalfLoad:
    """Latency of TLS keep-alive requests at one rate for all: half of what the slowest can."""

    title = "p50, p99, p99.9 at half load"

    def run(self, bench: Bench) -> list[Row]:
        names = {"p50": "p50 at half load", "p99": "p99 at half load", "p999": "p99.9 at half load"}
        with bench.running(bench.setting(tls_only=True), "seed") as running:
            with contextlib.ExitStack() as stack:
                connections = bench.options.connections
                clients = {
                    server: stack.enter_context(
                        bench.clients.load(server.tls_port, connections, connections))
                    for server in running}
                rate = half_of_the_slowest(bench, clients)
                rows = {
                    key: {server: Row(title, server.name, "µs") for server in running}
                    for key, title in names.items()}
                bench.alternate(self.title, running, lambda server: self._measure(
                    clients[server], rate, bench.options.seconds * 2,
                    {key: rows[key][server] for key in names}))
        return [row for of_server in rows.values() for row in of_server.values()]

    @staticmethod
    def _measure(client: Load, rate: float, seconds: float, rows: dict[str, Row]):
        counts = client.round(seconds, rate)
        for key, row in rows.items():
            row.values.append(counts[key])
            row.rates.append(rate)
        rows["p50"].failed += counts["failed"]


class Flat:
    """Ours: CPU per TLS keep-alive request, a few connections busy of 1 to 10,000 open ones."""

    title = "TLS keep-alive, few of many busy"

    def run(self, bench: Bench) -> list[Row]:
        counts = list(dict.fromkeys((64, 1, 1000, bench.options.idle)))  # 64 is compared with
        setting, rows = bench.setting(tls_only=True), {}
        seconds = min(bench.options.seconds, 1)
        rounds = min(bench.options.rounds, int(HOLD_SECONDS / len(counts) / seconds))
        with contextlib.ExitStack() as stack:
            held = []
            for connections in counts:
                server = stack.enter_context(servers.Ours(setting))
                busy = min(connections, BUSY)
                client = stack.enter_context(
                    bench.clients.load(server.tls_port, connections, busy))
                name = f"{server.name}, {busy} of {connections:,}"
                rows[client] = Row(self.title, name, "µs", failed=client.failed)
                held.append((server, client))
            bench.alternate(
                self.title, held, lambda each: self._measure(*each, rows[each[1]], seconds), rounds)
            for (server, _), connections in zip(held, counts):
                if server.descriptors() < connections:
                    raise RuntimeError(f"{self.title}: not all of {connections} stayed open")
        return list(rows.values())

    @staticmethod
    def _measure(server: servers.Server, client: Load, row: Row, seconds: float):
        before = server.cpu_ns()
        counts = client.round(seconds)
        row.values.append((server.cpu_ns() - before) / counts["answered"] / 1000)
        row.rates.append(counts["answered"] / counts["seconds"])
        row.failed += counts["failed"]


class Idle:
    """Memory of a fresh server with many quiet TLS connections, less what it had before."""

    title = "memory per idle TLS connection"

    def run(self, bench: Bench) -> list[Row]:
        rows = [Row(self.title, kind.name, "KiB") for kind in bench.kinds()]
        for _ in range(1 if bench.options.rounds < 10 else 3):
            for kind, row in zip(bench.kinds(), rows):
                self._measure(bench, kind(bench.setting(tls_only=True)), row)
                figures.progress(f"{self.title}: {row.server}")
        return rows

    @staticmethod
    def _measure(bench: Bench, server: servers.Server, row: Row):
        many = bench.options.idle
        with server:
            before = server.memory()
            with bench.clients.load(server.tls_port, many, busy=1) as client:
                row.values.append((server.memory() - before) / many / 1024)
                row.failed += client.failed

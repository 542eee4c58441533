"""The scenarios by name, and those that tell what a request costs: rounds that alternate."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator

import figures
import servers
from figures import Row


class Bench:
    """What the scenarios work with: options, machine, clients, and the servers asked for."""

    def __init__(self, options, machine, clients, base: servers.Setting, kinds: dict[str, type]):
        self.options, self.machine, self.clients = options, machine, clients
        self._base, self._kinds = base, kinds

    def setting(self, **changes: object) -> servers.Setting:
        return dataclasses.replace(self._base, **changes)

    def kinds(self, *without: str) -> list[type]:
        return [kind for name, kind in self._kinds.items() if name not in without]

    @contextlib.contextmanager
    def running(self, setting: servers.Setting, *without: str) -> Iterator[list[servers.Server]]:
        """All of them at once, from start to end of the block."""
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(kind(setting)) for kind in self.kinds(*without)]

    def alternate(self, title: str, items: list, measure: Callable, rounds: int | None = None):
        """Calls `measure` for each item in every round; each round starts with another one."""
        rounds = rounds or self.options.rounds
        for number in range(rounds):
            turn = number % len(items)
            for item in items[turn:] + items[:turn]:
                measure(item)
            figures.progress(f"{title}: round {number + 1} of {rounds}")


@dataclasses.dataclass(frozen=True)
class Cost:
    """CPU per request: wrk keeps its connections; connect.c makes one for each request."""

    title: str
    client: str
    tls: str = ""  # the version; empty for plain
    key_type: str = "ecdsa"
    without: tuple[str, ...] = ()

    def run(self, bench: Bench) -> list[Row]:
        setting = bench.setting(key_type=self.key_type)
        with bench.running(setting, *self.without) as running:
            rows = {server: Row(self.title, server.name, "µs") for server in running}
            for server in running:
                self._measure(bench, server, Row("", "", ""), 0.3)
            bench.alternate(self.title, running, lambda server: self._measure(
                bench, server, rows[server], bench.options.seconds))
        return list(rows.values())

    def _measure(self, bench: Bench, server: servers.Server, row: Row, seconds: float):
        """One round of one server."""
        before = server.cpu_ns()
        counts = self._ask(bench, server, seconds)
        spent = server.cpu_ns() - before
        if not counts["answered"]:
            raise RuntimeError(f"{self.title}: {server.name} answered nothing: {counts}")
        if self.client == "new" and counts["resumed"]:
            raise RuntimeError(f"{self.title}: {counts['resumed']} connections were resumed")
        if self.client == "resumed" and counts["resumed"] < counts["answered"] / 2:
            raise RuntimeError(f"{self.title}: {server.name} resumed {counts['resumed']} only")
        row.values.append(spent / counts["answered"] / 1000)
        row.rates.append(counts["answered"] / counts.get("seconds", seconds))
        row.failed += counts["failed"]

    def _ask(self, bench: Bench, server: servers.Server, seconds: float) -> dict[str, int]:
        connections = bench.options.connections
        if self.client == "wrk":
            scheme, port = ("https", server.tls_port) if self.tls else ("http", server.plain_port)
            return bench.clients.wrk(scheme, port, connections, seconds)
        return bench.clients.connect(
            server.tls_port, self.client, self.tls, min(connections, 16), seconds)


class Workers:
    """TLS keep-alive with one worker and with two, in turn: what the second one adds."""

    title = "TLS keep-alive, 2 workers"

    def run(self, bench: Bench) -> list[Row]:
        machine = bench.machine
        one = bench.setting(cores=(machine.pair[0],), tls_only=True)
        two = bench.setting(cores=tuple(machine.pair), workers=2, tls_only=True)
        costs, gains = [], []
        without = ("floor", "seed")  # they have one worker
        with bench.running(one, *without) as ones, bench.running(two, *without) as twos:
            for single, double in zip(ones, twos):
                costs.append(Row(self.title, single.name, "µs"))
                gains.append(Row("throughput of 2 workers ÷ 1", single.name, "×"))
            pairs = list(zip(ones, twos, costs, gains))
            bench.alternate(self.title, pairs, lambda pair: self._measure(bench, *pair))
        return costs + gains

    @staticmethod
    def _measure(bench: Bench, single, double, cost: Row, gain: Row):
        rates = []
        for server in (single, double):
            before = server.cpu_ns()
            counts = bench.clients.wrk(
                "https", server.tls_port, bench.options.connections, bench.options.seconds,
                bench.machine.others)
            spent = server.cpu_ns() - before
            rates.append(counts["answered"] / counts["seconds"])
            cost.failed += counts["failed"]
        cost.values.append(spent / counts["answered"] / 1000)
        cost.rates.append(rates[1])
        gain.values.append(rates[1] / rates[0])


def registry() -> dict[str, object]:
    """Every scenario by name, in the order of the table. Each has a `title` and `run(bench)`."""
    import failover
    import publish
    import staying
    import starting

    # Twisted has session tickets switched off: nothing to resume.
    resumed = {"client": "resumed", "without": ("seed",)}
    return {
        "plain": Cost("plain keep-alive", "wrk"),
        "tls": Cost("TLS keep-alive", "wrk", "1.3"),
        "new13": Cost("new TLS 1.3 connection", "new", "1.3"),
        "new13-rsa": Cost("new TLS 1.3, RSA-2048", "new", "1.3", "rsa"),
        "new12": Cost("new TLS 1.2 connection", "new", "1.2"),
        "resumed13": Cost("resumed TLS 1.3", tls="1.3", **resumed),
        "resumed12": Cost("resumed TLS 1.2", tls="1.2", **resumed),
        "half": staying.HalfLoad(),
        "flat": staying.Flat(),
        "idle": staying.Idle(),
        "start": starting.Start(),
        "rest": starting.AtRest(),
        "publish": publish.Publish(),
        "failover": failover.Failover(),
        "workers": Workers(),
    }

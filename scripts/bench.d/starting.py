"""How soon a fresh server answers, and what it holds with nobody connected."""

import json
import subprocess

import figures
from figures import Row
from scenarios import Bench


class Start:
    """From fork to first answer over TLS, and to first 307: ours finds its node meanwhile."""

    title = "start to first answer"

    def run(self, bench: Bench) -> list[Row]:
        kinds = bench.kinds()
        first = [Row(self.title, kind.name, "ms") for kind in kinds]
        redirect = [Row("start to first 307", kind.name, "ms") for kind in kinds]
        bench.alternate(
            self.title, list(zip(kinds, first, redirect)), lambda each: self._measure(bench, *each))
        return first + redirect

    @staticmethod
    def _measure(bench: Bench, kind: type, first: Row, redirect: Row):
        server = kind(bench.setting(tls_only=True))
        with server.prepared():
            done = subprocess.run(
                [bench.clients.program("probe"), str(server.tls_port), bench.clients.request,
                 "start", str(server.setting.cores[0]), *map(str, server.commands()[-1])],
                env=server.surroundings(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True, timeout=60)
        if done.returncode:
            raise RuntimeError(f"{kind.name} did not start: {done.stderr}")
        times = json.loads(done.stdout)
        first.values.append(times["first"])
        redirect.values.append(times["redirect"])


class AtRest:
    """Memory of a fresh server that listens with TLS, and has answered once."""

    title = "resident, nobody connected"

    def run(self, bench: Bench) -> list[Row]:
        names = {"Rss": self.title, "Anonymous": "anonymous, nobody connected"}
        rows = {name: [] for name in names}
        for kind in bench.kinds():
            with kind(bench.setting(tls_only=True)) as server:
                for name, title in names.items():
                    mebibytes = server.memory(name) / 2**20
                    rows[name].append(Row(title, server.name, "MiB", [mebibytes]))
            figures.progress(f"{self.title}: {kind.name}")
        return [row for of_kind in rows.values() for row in of_kind]

"""Rounds that alternate between the servers, and a table of what a request cost each of them."""

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import platform
import resource
import subprocess
import sys
import tempfile

import figures
import servers
from harness.certs import REPOSITORY, Certificates

HEADERS = {
    "Host": "localhost", "User-Agent": "bench", "X-Vault-Request": "true",
    "X-Vault-Token": "s.0123456789abcdef01234567",
}


@dataclasses.dataclass(frozen=True)
class Scenario:
    """What the clients do: wrk keeps its connections; connect.c makes a new one for each request."""

    name: str
    title: str
    client: str
    tls: str = ""  # the version; empty for plain
    key_type: str = "ecdsa"


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("plain", "plain keep-alive", "wrk"),
        Scenario("tls", "TLS keep-alive", "wrk", "1.3"),
        Scenario("new13", "new TLS 1.3 connection", "new", "1.3"),
        Scenario("new13-rsa", "new TLS 1.3, RSA-2048", "new", "1.3", "rsa"),
        Scenario("new12", "new TLS 1.2 connection", "new", "1.2"),
        Scenario("resumed13", "resumed TLS 1.3", "resumed", "1.3"),
        Scenario("resumed12", "resumed TLS 1.2", "resumed", "1.2"),
        Scenario("idle", "memory per idle TLS connection", "idle", "1.3"),
    )
}


class Bench:
    def __init__(self, options: argparse.Namespace, scratch: pathlib.Path):
        self.options = options
        self.scratch = scratch
        cores = sorted(os.sched_getaffinity(0))
        self.server_core, self.client_core = cores[0], cores[-1]
        os.sched_setaffinity(0, {self.client_core})
        self.certificates = Certificates(REPOSITORY / "certs")
        self.target = servers.StandInNode(self.certificates).address
        self.request, self.last_request = scratch / "request", scratch / "last-request"
        self._write_requests()
        for program in ("floor", "connect"):
            source = servers.HERE / f"{program}.c"
            command = ["gcc", "-O2", "-o", scratch / program, source, "-lssl", "-lcrypto"]
            subprocess.run(command, check=True)

    def run(self, scenario: Scenario) -> list[figures.Row]:
        setting = servers.Setting(
            self.scratch, self.certificates, self.server_core, self.target, scenario.key_type)
        if scenario.client == "idle":
            return [self.idle(servers.ALL[name](setting)) for name in self.options.servers]
        with contextlib.ExitStack() as stack:
            running = [stack.enter_context(servers.ALL[name](setting)) for name in self.options.servers]
            rows = {server.name: figures.Row(scenario.title, server.name, "µs") for server in running}
            for server in running:
                self.measure(scenario, server, figures.Row("", "", ""), seconds=0.3)
            for number in range(self.options.rounds):
                turn = number % len(running)
                for server in running[turn:] + running[:turn]:
                    self.measure(scenario, server, rows[server.name], self.options.seconds)
                figures.progress(f"{scenario.title}: round {number + 1} of {self.options.rounds}")
        return list(rows.values())

    def measure(self, scenario: Scenario, server: servers.Server, row: figures.Row, seconds: float):
        """One round of one server."""
        before = server.cpu_ns()
        counts = self.ask(scenario, server.tls_port if scenario.tls else server.plain_port, seconds)
        spent = server.cpu_ns() - before
        if not counts["answered"]:
            raise RuntimeError(f"{scenario.title}: {server.name} answered nothing: {counts}")
        if scenario.client == "new" and counts["resumed"]:
            raise RuntimeError(f"{scenario.title}: {counts['resumed']} connections were resumed")
        if scenario.client == "resumed" and counts["resumed"] < counts["answered"] / 2:
            raise RuntimeError(f"{scenario.title}: {server.name} resumed {counts['resumed']} only")
        row.values.append(spent / counts["answered"] / 1000)
        row.rates.append(counts["answered"] / seconds)
        row.failed += counts["failed"]

    def ask(self, scenario: Scenario, port: int, seconds: float) -> dict[str, int]:
        connections = self.options.connections
        if scenario.client == "wrk":
            scheme = "https" if scenario.tls else "http"
            command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}"]
            for name, value in HEADERS.items():
                command += ["-H", f"{name}: {value}"]
            command += [
                "-s", servers.HERE / "count.lua", f"{scheme}://127.0.0.1:{port}{servers.TARGET}"]
        else:
            command = [
                self.scratch / "connect", str(port), self.last_request, scenario.client,
                scenario.tls, str(min(connections, 16)), str(seconds)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        return json.loads(done.stdout.strip().splitlines()[-1])

    def idle(self, server: servers.Server) -> figures.Row:
        """Memory of a fresh server with many quiet connections, less what it had before."""
        row = figures.Row(SCENARIOS["idle"].title, server.name, "KiB")
        many = self.options.idle
        for _ in range(3):
            with server:
                command = [self.scratch / "connect", str(server.tls_port), self.request, "idle", "1.3"]
                before = server.memory()
                client = subprocess.Popen(
                    [*command, str(many)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                counts = json.loads(client.stdout.readline())
                row.values.append((server.memory() - before) / many / 1024)
                row.failed += counts["failed"]
                client.communicate()
            figures.progress(f"{row.scenario}: {server.name}")
        return row

    def _write_requests(self):
        lines = [f"GET {servers.TARGET} HTTP/1.1", *(f"{name}: {HEADERS[name]}" for name in HEADERS)]
        self.request.write_bytes("\r\n".join([*lines, "", ""]).encode())
        lines.append("Connection: close")
        self.last_request.write_bytes("\r\n".join([*lines, "", ""]).encode())


def parse_options() -> argparse.Namespace:
    names = lambda known: lambda text: [known[name] and name for name in text.split(",")]
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=int, default=2, help="of each round of each server")
    parser.add_argument("--connections", type=int, default=64, help="at a time; at most 16 new ones")
    parser.add_argument("--idle", type=int, default=10000, help="connections of the idle scenario")
    parser.add_argument(
        "--scenarios", type=names(SCENARIOS), default=["plain", "tls", "new13"],
        help=f"of {','.join(SCENARIOS)}; default plain,tls,new13")
    parser.add_argument(
        "--servers", type=names(servers.ALL), default=list(servers.ALL),
        help=f"of {','.join(servers.ALL)}; ratios are the first one's to each other's")
    parser.add_argument("--json", type=pathlib.Path, help="write every round's figures there")
    return parser.parse_args()


def build_ours():
    """Builds the release binary, unless REDIRECTOR_BINARY names one."""
    if not os.environ.get("REDIRECTOR_BINARY"):
        print("Building the release binary.", file=sys.stderr)
        built = subprocess.run([REPOSITORY / "scripts" / "build"], stdout=subprocess.PIPE, text=True)
        if built.returncode:
            sys.exit(built.stdout + "bench: the build failed")
        os.environ["REDIRECTOR_BINARY"] = built.stdout.splitlines()[-1]


def allow_descriptors(wanted: int):
    """For this process and all that it starts; where the limit is hard, as many as there are."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> int:
    options = parse_options()
    allow_descriptors(65536)
    if "ours" in options.servers:
        build_ours()
    with tempfile.TemporaryDirectory(prefix="vault-redirector-bench.") as scratch:
        bench = Bench(options, pathlib.Path(scratch))
        noise = figures.Noise(bench.server_core, bench.client_core)
        rows = [row for name in options.scenarios for row in bench.run(SCENARIOS[name])]
    print(figures.table(rows))
    print(noise.sentence(rows))
    if options.json:
        options.json.write_text(json.dumps(
            {"machine": platform.platform(), "rows": [dataclasses.asdict(row) for row in rows]},
            indent=1, ensure_ascii=False) + "\n")
    failed = sum(row.failed for row in rows)
    if failed:
        print(f"{failed} requests failed", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

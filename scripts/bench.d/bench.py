"""Compares the redirector with nginx, HAProxy and a C floor: one run, rounds that alternate."""

import argparse
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import chart
import figures
import scenarios
import seed
import servers
import table
from clients import Clients
from harness.certs import REPOSITORY, Certificates
from machine import Machine, Noise, allow_descriptors

QUICK = {"rounds": 3, "seconds": 0.5, "idle": 1000, "changes": 15}


def parse_options(known: dict[str, object]) -> argparse.Namespace:
    names = lambda known: lambda text: [known[name] and name for name in text.split(",")]
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=__doc__,
        epilog="Performance.md says what each scenario means.")
    parser.add_argument("--quick", action="store_true", help="few short rounds: 3 minutes, hints")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--seconds", type=float, default=1, help="of a round; wrk's: 1 or more")
    parser.add_argument("--connections", type=int, default=64, help="at a time; of new ones 16")
    parser.add_argument("--idle", type=int, default=10000, help="connections that stay")
    parser.add_argument("--changes", type=int, default=60, help="of the active node, for publish")
    parser.add_argument(
        "--scenarios", type=names(known), default=list(known), help=f"of {','.join(known)}")
    parser.add_argument(
        "--servers", type=names(servers.ALL), default=list(servers.ALL),
        help=f"of {','.join(servers.ALL)}; ratios are the first one's to each other's")
    parser.add_argument("--seed", action="store_true", help="vault-redirector 0.2.0 from PyPI too")
    parser.add_argument("--before", type=pathlib.Path, help="another binary of ours, to compare")
    parser.add_argument("--json", type=pathlib.Path, help="write every round's figures there")
    parser.add_argument("--svg", type=pathlib.Path, help="draw them there")
    if "--quick" in sys.argv:
        parser.set_defaults(**QUICK)
    return parser.parse_args()


def build_ours():
    """Builds the release binary, unless REDIRECTOR_BINARY names one."""
    if not os.environ.get("REDIRECTOR_BINARY"):
        print("Building the release binary.", file=sys.stderr)
        command = [REPOSITORY / "scripts" / "build"]
        built = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if built.returncode:
            sys.exit(built.stdout + "bench: the build failed")
        os.environ["REDIRECTOR_BINARY"] = built.stdout.splitlines()[-1]


def chosen_servers(options: argparse.Namespace, setting: servers.Setting) -> dict[str, type]:
    kinds = {name: servers.ALL[name] for name in options.servers}
    if options.before:
        os.environ[servers.Before.binary] = str(options.before.resolve(strict=True))
        kinds["before"] = servers.Before
    if options.seed:
        try:
            with seed.Seed(setting):
                kinds["seed"] = seed.Seed
        except (OSError, RuntimeError, TimeoutError) as error:
            print(f"without 0.2.0: {str(error).strip().splitlines()[-1]}", file=sys.stderr)
    return kinds


def measure(
    options: argparse.Namespace, known: dict[str, object], machine: Machine,
) -> tuple[list[figures.Row], list[str]]:
    """The rows, and the scenarios that failed: they cost the others nothing."""
    with tempfile.TemporaryDirectory(prefix="vault-redirector-bench.") as directory:
        scratch = pathlib.Path(directory)
        certificates = Certificates(REPOSITORY / "certs")
        base = servers.Setting(
            scratch, certificates, servers.StandInNode(certificates).address,
            (machine.server_core,))
        bench = scenarios.Bench(
            options, machine, Clients(scratch), base, chosen_servers(options, base))
        rows, broken = [], []
        for name in options.scenarios:
            started = time.monotonic()
            try:
                rows += known[name].run(bench)
            except (OSError, RuntimeError, TimeoutError, subprocess.SubprocessError) as error:
                broken.append(name)
                print(f"{name}: {error}", file=sys.stderr)
            figures.progress("")
            print(f"{known[name].title}: {time.monotonic() - started:.0f} s", file=sys.stderr)
        return rows, broken


def report(options: argparse.Namespace, machine: Machine, noise: Noise, rows: list[figures.Row]):
    sentences = [noise.sentence(rows)]
    if "workers" in options.scenarios and machine.pair_is_shared:
        sentences.append(
            "Two workers and their client share this machine's cores: it has too few to show what "
            "the second worker adds; only CPU per request counts there.")
    print(table.table(rows))
    print("\n".join(sentences))
    if options.json:
        asked = {key: str(value) if isinstance(value, pathlib.Path) else value
                 for key, value in vars(options).items()}
        options.json.write_text(json.dumps(
            {"machine": machine.describe(), "options": asked, "remarks": sentences,
             "rows": [dataclasses.asdict(row) for row in rows]},
            indent=1, ensure_ascii=False) + "\n")
    if options.svg:
        options.svg.write_text(chart.draw(rows, machine.describe()))


def main() -> int:
    # A signal ends the run as an exception does, and so all that was started.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    known = scenarios.registry()
    options = parse_options(known)
    allow_descriptors(65536)
    if "ours" in options.servers or {"flat", "publish"} & set(options.scenarios):
        build_ours()
    machine = Machine()
    os.sched_setaffinity(0, {machine.client_core})
    noise = Noise(machine)
    rows, broken = measure(options, known, machine)
    if rows:
        report(options, machine, noise, rows)
    failed = sum(row.failed for row in rows)
    if failed:
        print(f"{failed} requests failed", file=sys.stderr)
    if broken:
        print(f"not measured: {', '.join(broken)}", file=sys.stderr)
    return 1 if failed or broken else 0


if __name__ == "__main__":
    sys.exit(main())

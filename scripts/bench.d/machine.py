"""The machine: which core serves and which asks, what it is, and how quiet it was meanwhile."""

import os
import pathlib
import platform
import re
import resource
import statistics
import subprocess

import figures


def _siblings(core: int) -> frozenset[int]:
    """The virtual cores that share the physical core of this one."""
    path = pathlib.Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    if not path.exists():
        return frozenset((core,))
    found: set[int] = set()
    for part in path.read_text().strip().split(","):
        low, _, high = part.partition("-")
        found.update(range(int(low), int(high or low) + 1))
    return frozenset(found)


class Machine:
    """`server_core` serves and `client_core` asks; two workers get `pair`, and their client `others`."""

    def __init__(self):
        self.cores = sorted(os.sched_getaffinity(0))
        self.server_core, self.client_core = self.cores[0], self.cores[-1]
        self.shared = self.client_core in _siblings(self.server_core)
        physical = [core for core in self.cores if core == min(_siblings(core) & {*self.cores})]
        self.pair = (physical if len(physical) > 1 else self.cores)[:2]
        taken = frozenset().union(*map(_siblings, self.pair))
        self.others = [core for core in self.cores if core not in taken]
        self.pair_is_shared = not self.others
        if self.pair_is_shared:
            self.others = self.cores[-2:]

    def describe(self) -> dict[str, str | int]:
        cpus = pathlib.Path("/proc/cpuinfo").read_text()
        model = re.search(r"^model name\s*: (.*)$", cpus, re.MULTILINE)
        memory = re.search(r"MemTotal: +(\d+)", pathlib.Path("/proc/meminfo").read_text())
        return {
            "system": platform.freedesktop_os_release().get("PRETTY_NAME", ""),
            "kernel": platform.release(),
            "processor": model[1] if model else platform.machine(),
            "virtual cores": len(self.cores),
            "memory, GiB": round(int(memory[1]) / 2**20),
            "nginx": _version("nginx", "-v"),
            "haproxy": _version("haproxy", "-v"),
            "openssl": _version("openssl", "version"),
        }


def _version(*command: str) -> str:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=10)
    return done.stdout.splitlines()[0] if done.stdout else ""


def allow_descriptors(wanted: int):
    """For this process and all that it starts; where the limit is hard, as many as there are."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Noise:
    """What the host took from the server's core, and how far the rounds of a row lie apart."""

    def __init__(self, machine: Machine):
        self._machine = machine
        self._load = os.getloadavg()[0]
        self._start = self._ticks()

    def sentence(self, rows: list[figures.Row]) -> str:
        spent = [now - then for now, then in zip(self._ticks(), self._start)]
        steal = 100 * spent[7] / max(sum(spent), 1)
        widths = [0.0]
        for row in rows:
            low, middle, high = figures.quartiles(row.values)
            if row.unit == "µs" and middle and len(row.values) > 2:
                widths.append(100 * (high - low) / middle)
        text = (
            f"Noise: the quartiles of a row lie {statistics.median(widths):.0f} % of its median apart, "
            f"{max(widths):.0f} % at worst; the host took {steal:.1f} % of the server's core; "
            f"{self._load:.1f} processes were runnable before the run.")
        if self._machine.shared:
            text += " Server and client share one physical core: absolute figures are high, ratios hold."
        return text

    def _ticks(self) -> list[int]:
        name = f"cpu{self._machine.server_core} "
        lines = pathlib.Path("/proc/stat").read_text().splitlines()
        line = next(line for line in lines if line.startswith(name))
        return [int(word) for word in line.split()[1:9]]

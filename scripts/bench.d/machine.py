"""The machine: which core serves and which asks, what it is, and how quiet it was meanwhile."""

import os
import pathlib
import platform
import re
import resource
import statistics
import subprocess
import time

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
    """`server_core` serves, `client_core` asks; two workers get `pair`, their client `others`."""

    def __init__(self):
        self.cores = sorted(os.sched_getaffinity(0))
        self.server_core, self.client_core = self.cores[0], self.cores[-1]
        self.shared = self.client_core in _siblings(self.server_core)
        physical = [core for core in self.cores if core == min(_siblings(core) & {*self.cores})]
        self.pair = (physical if len(physical) > 1 else self.cores)[:2]
        taken = frozenset().union(*map(_siblings, self.pair))
        self.others = [core for core in self.cores if core not in taken][-4:]
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
    found = re.search(r"\d+\.\d+[^\s,]*", done.stdout)
    return found[0] if found else ""


def allow_descriptors(wanted: int):
    """For this process and all that it starts; where the limit is hard, as many as there are."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Noise:
    """What others took from this machine meanwhile, and how far the rounds of a row lie apart."""

    def __init__(self, machine: Machine):
        self._machine = machine
        self._start = self._spent()
        self._began = time.monotonic()

    def sentence(self, rows: list[figures.Row]) -> str:
        """To be asked when every process of the run has ended: only then is its time known."""
        took = time.monotonic() - self._began
        busy, steal, own = (now - then for now, then in zip(self._spent(), self._start))
        others, stolen = max(busy - own, 0) / took, steal / took
        widths = [0.0]
        for row in rows:
            low, middle, high = figures.quartiles(row.values)
            if row.unit == "µs" and middle and len(row.values) > 2:
                widths.append(100 * (high - low) / middle)
        noisy = others + stolen > 0.05 * len(self._machine.cores)
        text = (
            f"Noise: the quartiles of a row lie {statistics.median(widths):.0f} % of its median "
            f"apart, {max(widths):.0f} % at worst; of {len(self._machine.cores)} virtual cores, "
            f"other programs took {others:.2f} and the host {stolen:.2f}: "
            + ("a noisy run, whose figures are hints." if noisy else "a quiet run."))
        if self._machine.shared:
            text += (
                " Server and client share one physical core: absolute figures are high,"
                " ratios hold.")
        return text

    def _spent(self) -> tuple[float, float, float]:
        """Seconds that our cores were busy, that the host took, and that our processes ran."""
        hertz = os.sysconf("SC_CLK_TCK")
        busy = steal = 0.0
        for line in pathlib.Path("/proc/stat").read_text().splitlines():
            name, *words = line.split()
            if name.startswith("cpu") and name[3:] and int(name[3:]) in self._machine.cores:
                user, nice, system, _, _, hard, soft, stolen, *_ = map(int, words)
                busy += (user + nice + system + hard + soft) / hertz
                steal += stolen / hertz
        uses = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return busy, steal, sum(use.ru_utime + use.ru_stime for use in uses)

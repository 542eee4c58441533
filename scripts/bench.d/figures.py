"""Medians, quartiles, ratios round by round, the table, and how noisy the run was."""

import dataclasses
import pathlib
import statistics
import sys


@dataclasses.dataclass
class Row:
    """One server in one scenario: what a request (or a connection) cost, round by round."""

    scenario: str
    server: str
    unit: str
    values: list[float] = dataclasses.field(default_factory=list)
    rates: list[float] = dataclasses.field(default_factory=list)
    failed: int = 0


def quartiles(values: list[float]) -> tuple[float, float, float]:
    if len(values) < 2:
        return (values[0],) * 3
    return tuple(statistics.quantiles(values, n=4, method="inclusive"))


def progress(text: str):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def spread(low: float, middle: float, high: float, digits: int) -> str:
    return f"{middle:.{digits}f} [{low:.{digits}f} … {high:.{digits}f}]"


def cells(row: Row, first: Row) -> list[str]:
    low, middle, high = quartiles(row.values)
    ratio = ""
    if row is not first:
        ratios = [ours / theirs for ours, theirs in zip(first.values, row.values)]
        ratio = spread(*quartiles(ratios), 2)
    rate = f"{statistics.median(row.rates):,.0f}" if row.rates else ""
    cost = f"{spread(low, middle, high, 0 if middle >= 100 else 1)} {row.unit}"
    return [row.scenario, row.server, cost, rate, ratio]


def table(rows: list[Row]) -> str:
    """Every scenario's servers; the ratio is the first server's cost to this one's, of each round."""
    lines, first = [], rows[0]
    title = ["scenario", "server", "CPU per request, median [quartiles]", "requests/s"]
    lines.append([*title, f"{first.server} ÷ this one"])
    for row in rows:
        if row.scenario != first.scenario:
            first = row
        lines.append(cells(row, first))
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    lines.insert(1, ["-" * width for width in widths])
    joined = [" | ".join(cell.ljust(width) for cell, width in zip(line, widths)) for line in lines]
    progress("")
    return "\n".join(f"| {line} |" for line in joined)


class Noise:
    """What else the server's core did meanwhile, and what the host took from it."""

    def __init__(self, server_core: int, client_core: int):
        self._core = server_core
        self._shared = client_core == server_core or str(client_core) in self._siblings()
        self._start = self._ticks()

    def sentence(self, rows: list[Row]) -> str:
        spent = [now - then for now, then in zip(self._ticks(), self._start)]
        steal = 100 * spent[7] / max(sum(spent), 1)
        widths = []
        for row in rows:
            low, middle, high = quartiles(row.values)
            widths.append(100 * (high - low) / middle)
        text = (
            f"Noise: the quartiles of a row are {statistics.median(widths):.0f} % of its median apart, "
            f"{max(widths):.0f} % at worst; the host took {steal:.1f} % of the server's core.")
        if self._shared:
            text += " Server and client share one physical core: absolute figures are high, ratios hold."
        return text

    def _siblings(self) -> list[str]:
        path = f"/sys/devices/system/cpu/cpu{self._core}/topology/thread_siblings_list"
        with pathlib.Path(path).open() as file:
            return file.read().strip().replace("-", ",").split(",")

    def _ticks(self) -> list[int]:
        lines = pathlib.Path("/proc/stat").read_text().splitlines()
        line = next(line for line in lines if line.startswith(f"cpu{self._core} "))
        return [int(word) for word in line.split()[1:9]]

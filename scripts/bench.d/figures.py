"""What was measured: rows of values, round by round; medians, quartiles and ratios of them."""

import dataclasses
import statistics
import sys


@dataclasses.dataclass
class Row:
    """One server in one scenario: what a request (a connection, a start) cost, round by round."""

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


def ratios(first: Row, other: Row) -> list[float]:
    """The first one's value to the other's, round by round."""
    return [ours / theirs for ours, theirs in zip(first.values, other.values) if theirs]


def progress(text: str):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

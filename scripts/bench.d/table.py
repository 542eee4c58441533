"""One table of all scenarios: the cost, its quartiles, the ratio to each server, and the goal."""

import statistics

import figures
from figures import Row

# The goals for the median ratio of ours to each of the others.
RATIO_GOALS = {
    "plain keep-alive": {"nginx": 0.75, "haproxy": 0.75, "floor": 1.15},
    "TLS keep-alive": {"nginx": 0.75, "haproxy": 0.70, "floor": 1.10},
    "new TLS 1.3 connection": {"nginx": 0.75, "haproxy": 0.70, "floor": 1.00},
    "memory per idle TLS connection": {"nginx": 0.60, "haproxy": 0.60},
    "p99 at half load": {"nginx": 1.0, "haproxy": 1.0},
    "resident, nobody connected": {"haproxy": 1.0},
}

# The goals for our own median.
OWN_GOALS = {
    "start to first answer": ("ms", 30), "start to first 307": ("ms", 30),
    "anonymous, nobody connected": ("MiB", 5),
}

TITLES = ("scenario", "server", "median [quartiles]", "requests/s")


def table(rows: list[Row]) -> str:
    """The first server of each scenario is what the others are compared with."""
    lines, first = [[*TITLES, f"{rows[0].server} ÷ this one", "goal"]], rows[0]
    for row in rows:
        if row.scenario != first.scenario:
            first = row
        lines.append(_cells(row, first))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    lines.insert(1, ["-" * width for width in widths])
    joined = (" | ".join(cell.ljust(width) for cell, width in zip(line, widths)) for line in lines)
    return "\n".join(f"| {line} |" for line in joined)


def number(value: float) -> str:
    """With three digits, or all of a larger whole number."""
    return f"{value:,.{0 if value >= 99.95 else 1 if value >= 9.995 else 2}f}"


def _spread(values: list[float]) -> str:
    low, middle, high = map(number, figures.quartiles(values))
    return middle if len(values) == 1 else f"{middle} [{low} … {high}]"


def _cells(row: Row, first: Row) -> list[str]:
    rate = f"{statistics.median(row.rates):,.0f}" if row.rates else ""
    shared = [row.scenario, row.server, f"{_spread(row.values)} {row.unit}", rate]
    ratios = [] if row is first else figures.ratios(first, row)
    return [*shared, _spread(ratios) if ratios else "", _goal(row, ratios)]


def _goal(row: Row, ratios: list[float]) -> str:
    if ratios:
        goal, reached = RATIO_GOALS.get(row.scenario, {}).get(row.server), statistics.median(ratios)
        unit = ""
    elif row.server == "ours" and row.scenario in OWN_GOALS:
        (unit, goal), reached = OWN_GOALS[row.scenario], statistics.median(row.values)
    else:
        return ""
    if goal is None:
        return ""
    return f"≤ {goal:g}{' ' + unit if unit else ''} {'reached' if reached <= goal else 'missed'}"

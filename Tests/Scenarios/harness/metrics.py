"""What /metrics says, as a dictionary."""

import re

from .http import Connection
from .polling import wait_until
from .redirector import Redirector

SAMPLE = re.compile(r'(\w+)(?:\{(.*)\})? (\S+)')
LABEL = re.compile(r'(\w+)="([^"]*)"')
PREFIX = "vault_redirector_"


class Metrics:
    """The samples of one scrape. Names go without the prefix that all of ours have."""

    def __init__(self, text: str):
        self.text = text
        self.samples: list[tuple[str, dict[str, str], float]] = []
        for line in text.splitlines():
            if not line.startswith("#"):
                name, labels, value = SAMPLE.fullmatch(line).groups()
                found = dict(LABEL.findall(labels or ""))
                self.samples.append((name.removeprefix(PREFIX), found, float(value)))

    def __call__(self, name: str, **labels: str) -> float:
        """The sum of the samples with that name and those labels; 0 where there is none yet."""
        return sum(
            value for key, found, value in self.samples
            if key == name and labels.items() <= found.items())

    def closed(self, reason: str) -> float:
        return self("connections_closed_total", reason=reason)

    def nonzero(self, name: str, label: str) -> dict[str, float]:
        """The counts of a family that are not 0, by one of its labels."""
        return {
            found[label]: value for key, found, value in self.samples if key == name and value}


def scrape(run: Redirector) -> Metrics:
    """Asks the admin listener of a run, on a connection of its own."""
    with Connection(run.admin_port) as connection:
        response = connection.request("GET", "/metrics", Connection="close")
    assert response.status == 200
    return Metrics(response.body.decode())


def wait_for_count(run: Redirector, name: str, count: float, **labels: str) -> Metrics:
    """Waits until a sum of counts is exactly `count`, and gives the scrape that says so."""
    last = 0.0

    def reached() -> Metrics | None:
        nonlocal last
        metrics = scrape(run)
        last = metrics(name, **labels)
        return metrics if last == count else None

    try:
        return wait_until(f"{name}{labels} = {count}", reached, seconds=30, interval=0.05)
    except TimeoutError as error:
        raise AssertionError(f"{error}: it is {last}") from None

"""What /metrics says, as a dictionary."""

import re

from .http import Connection, Response
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


class Scraper:
    """Asks the admin listener on one connection that stays, so that none begins or ends for it meanwhile."""

    def __init__(self, run: Redirector):
        self._connection = Connection(run.admin_port)

    def __enter__(self) -> "Scraper":
        return self

    def __exit__(self, *_):
        self._connection.socket.close()

    def __call__(self) -> Metrics:
        self.send()
        return self.receive()

    def send(self):
        self._connection.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")

    def receive(self) -> Metrics:
        return _metrics(self._connection.response())


def scrape(run: Redirector) -> Metrics:
    """Asks the admin listener of a run, on a connection of its own."""
    with Connection(run.admin_port) as connection:
        return _metrics(connection.request("GET", "/metrics", Connection="close"))


def _metrics(response: Response) -> Metrics:
    assert response.status == 200
    return Metrics(response.body.decode())


def wait_for_count(
    run: Redirector | Scraper, name: str, count: float, **labels: str
) -> Metrics:
    """Waits until a sum of counts is exactly `count`, and gives the scrape that says so."""
    last = 0.0

    def reached() -> Metrics | None:
        nonlocal last
        metrics = run() if isinstance(run, Scraper) else scrape(run)
        last = metrics(name, **labels)
        return metrics if last == count else None

    try:
        return wait_until(f"{name}{labels} = {count}", reached, interval=0.05)
    except TimeoutError as error:
        raise AssertionError(f"{error}: it is {last}") from None

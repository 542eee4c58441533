"""A run of the binary that watches the stand-in Consul: whom it names, and whether it has heard."""

import json

from .consul import StandInConsul
from .http import Connection, Response
from .metrics import Metrics, scrape
from .polling import wait_until
from .redirector import Redirector


class Watching:
    """`run` and the Consul it asks, with one connection to it that stays open."""

    def __init__(self, run: Redirector, consul: StandInConsul):
        self.run, self.consul = run, consul
        self._connection = Connection(run.port, seconds=60)

    def close(self):
        self._connection.socket.close()

    def get(self, target: str = "/v1/x") -> Response:
        return self._connection.request("GET", target)

    def origin(self) -> str | None:
        """Where clients are sent, as `https://host:port`; None for a 503."""
        response = self.get()
        if response.status == 503:
            return None
        assert response.status == 307
        return response["Location"].removesuffix("/v1/x")

    def node(self) -> str | None:
        """The host alone, where it has no brackets."""
        origin = self.origin()
        return origin and origin.removeprefix("https://").partition(":")[0]

    def follow(self, node: str | None):
        """Waits until clients are sent to `node`; back-offs included."""
        wait_until(f"the redirect to {node}", lambda: self.node() == node)

    def hear(self, change, *arguments, **options):
        """Changes what Consul says, and waits until it was heard: until the question after that is asked."""
        change(*arguments, **options)
        self.consul.wait_until_heard()

    def health(self) -> tuple[int, dict]:
        response = self.get("/vault-redirector-health")
        return response.status, json.loads(response.body)

    def metrics(self) -> Metrics:
        return scrape(self.run)

"""Clients of four kinds that write and read one secret each through the redirector, all along, until told to stop.

Each one tries what fails again after a pause of 0.25 s, for 5 s of pauses; what fails for longer is a failure.
"""

import dataclasses
import http.client
import os
import re
import subprocess
import threading
import time
import urllib.parse

from . import openbao
from .certs import Certificates

RETRIES, PAUSE = 20, 0.25
# Seconds that a client waits for an answer: longer than a request is held through the longest election.
PATIENCE = 150


@dataclasses.dataclass(frozen=True)
class Answer:
    """One of the redirector's own: when it was asked and answered (time.time()), its status, and where to."""

    asked: float
    answered: float
    status: int
    origin: str | None


@dataclasses.dataclass(frozen=True)
class Place:
    """Where clients begin, and what they need for it."""

    port: int
    token: str
    certificates: Certificates

    @property
    def origin(self) -> str:
        return f"https://localhost:{self.port}"


class Ledger:
    """What all clients saw. Lists only grow, and append is atomic."""

    def __init__(self):
        self.answers: list[Answer] = []
        self.failures: list[str] = []
        self.retries: list[str] = []
        self.done: dict[str, int] = {}

    def took(self, asked: float, status: int, location: str | None):
        origin = None
        if location:
            parts = urllib.parse.urlsplit(location)
            origin = f"{parts.scheme}://{parts.netloc}"
        self.answers.append(Answer(asked, time.time(), status, origin))


class Client(threading.Thread):
    """Writes and reads in turns. A kind of client says how, and raises what went wrong."""

    pause = 0.1

    def __init__(self, name: str, place: Place, ledger: Ledger):
        super().__init__(name=name, daemon=True)
        self.place, self.ledger = place, ledger
        self.stopping = threading.Event()
        ledger.done[name] = 0

    def run(self):
        number = 0
        while not self.stopping.wait(self.pause):
            number += 1
            value = f"{self.name}-{number}"
            self._persist(lambda: self.write(value))
            self._persist(lambda: self._read_back(value))

    def _read_back(self, value: str):
        found = self.read()
        assert found == value, f"read {found!r} after {value!r} was written"

    def _persist(self, operation):
        for _ in range(RETRIES):
            try:
                operation()
                self.ledger.done[self.name] += 1
                return
            except Exception as error:  # Whatever a client raises, its user sees a failure.
                last = f"{self.name}: {type(error).__name__}: {error}"
                self.ledger.retries.append(last)
            time.sleep(PAUSE)
        self.ledger.failures.append(last)

    def write(self, value: str):
        raise NotImplementedError

    def read(self) -> str:
        raise NotImplementedError


class PythonClient(Client):
    """http.client and ssl, with one connection to the redirector that stays."""

    def __init__(self, name, place, ledger):
        super().__init__(name, place, ledger)
        self._context = place.certificates.client_context()
        self._ours = self._connect("localhost", place.port)

    def write(self, value):
        self._call("PUT", '{"data":{"v":"%s"}}' % value)

    def read(self):
        return re.search(r'"v":"([^"]*)"', self._call("GET"))[1]

    def _connect(self, host, port):
        return http.client.HTTPSConnection(host, port, timeout=PATIENCE, context=self._context)

    def _call(self, method: str, body: str | None = None) -> str:
        target, fields = f"/v1/secret/data/{self.name}", {"X-Vault-Token": self.place.token}
        asked = time.time()
        try:
            self._ours.request(method, target, body, fields)
            response = self._ours.getresponse()
            response.read()
        except OSError:
            self._ours.close()
            raise
        location = response.getheader("Location")
        self.ledger.took(asked, response.status, location)
        assert response.status == 307, f"ours: {response.status}"
        node = urllib.parse.urlsplit(location)
        assert node.path == target
        theirs = self._connect(node.hostname, node.port)
        try:
            theirs.request(method, node.path, body, fields)
            answer = theirs.getresponse()
            text = answer.read().decode()
        finally:
            theirs.close()
        assert answer.status == 200, f"{node.netloc}: {answer.status} {text}"
        return text


class CurlClient(Client):
    """`curl -L`, a process a request."""

    pause = 0.3

    def write(self, value):
        self._call("-X", "PUT", "-d", '{"data":{"v":"%s"}}' % value)

    def read(self):
        return re.search(r'"v":"([^"]*)"', self._call())[1]

    def _call(self, *arguments: str) -> str:
        asked = time.time()
        run = subprocess.run(
            ["curl", "-sS", "-L", "-D", "/dev/stderr", "--max-time", str(PATIENCE),
             "--cacert", self.place.certificates.ca, "-H", f"X-Vault-Token: {self.place.token}",
             *arguments, f"{self.place.origin}/v1/secret/data/{self.name}"],
            capture_output=True, text=True, stdin=subprocess.DEVNULL)
        statuses = [int(text) for text in re.findall(r"^HTTP/[\d.]+ (\d+)", run.stderr, re.M)]
        location = re.search(r"^Location: (\S+)", run.stderr, re.M)
        if statuses:
            self.ledger.took(asked, statuses[0], location and location[1])
        assert run.returncode == 0 and statuses == [307, 200], f"{statuses} {run.stderr} {run.stdout}"
        return run.stdout


class HvacClient(Client):
    """hvac, the Python client that most programs use."""

    def __init__(self, name, place, ledger):
        super().__init__(name, place, ledger)
        import hvac
        import requests

        class Seen(requests.adapters.HTTPAdapter):
            def send(self, request, **options):
                asked = time.time()
                response = super().send(request, **options)
                ledger.took(asked, response.status_code, response.headers.get("Location"))
                return response

        self._client = hvac.Client(
            url=place.origin, token=place.token, verify=str(place.certificates.ca), timeout=PATIENCE)
        # The longest prefix counts: what is sent to a node itself is none of ours.
        self._client.session.mount(place.origin, Seen())

    def write(self, value):
        self._client.secrets.kv.v2.create_or_update_secret(path=self.name, secret={"v": value})

    def read(self):
        answer = self._client.secrets.kv.v2.read_secret_version(
            path=self.name, raise_on_deleted_version=True)
        return answer["data"]["data"]["v"]


class CommandClient(Client):
    """The `bao` command, which follows one redirect by its own code; its answers from us are not seen here."""

    pause = 0.5

    def write(self, value):
        self._call("put", self.name, f"v={value}")

    def read(self):
        return self._call("get", "-field=v", self.name).strip()

    def _call(self, verb: str, *arguments: str) -> str:
        environment = {
            **os.environ, "BAO_ADDR": self.place.origin, "BAO_TOKEN": self.place.token,
            "BAO_CACERT": str(self.place.certificates.ca), "BAO_CLIENT_TIMEOUT": f"{PATIENCE}s"}
        run = subprocess.run(
            [openbao.binary(), "kv", verb, "-mount=secret", *arguments],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment)
        assert run.returncode == 0, run.stderr
        return run.stdout


class Crowd:
    """Twenty clients of every kind, from `with` until its end."""

    KINDS = [PythonClient] * 14 + [CurlClient] * 3 + [HvacClient] * 2 + [CommandClient]

    def __init__(self, place: Place):
        self.ledger = Ledger()
        self.clients = [
            kind(f"{kind.__name__.lower()}-{number}", place, self.ledger)
            for number, kind in enumerate(self.KINDS)]

    def __enter__(self) -> "Crowd":
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_):
        for client in self.clients:
            client.stopping.set()
        for client in self.clients:
            client.join(120)

    def done(self) -> dict[str, int]:
        """How many reads and writes each has done."""
        return dict(self.ledger.done)

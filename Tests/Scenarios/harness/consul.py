"""A stand-in for Consul on loopback: /v1/health/service/<name> with blocking queries, and every way to fail.

In a test:

    with StandInConsul() as consul:
        consul.set([entry("vault-a")])          # a new answer, index + 1: blocked queries return at once
        consul.replay(folder / "001.http")      # a recorded answer, with its own index
        consul.fail_with(folder / "denied.http")
        consul.hang(); consul.reset(); consul.refuse(); consul.huge(); consul.nested(); consul.gzip()
        consul.requests[-1].fields["x-consul-token"]

As a program (`python3 -m harness.consul` in Tests/Scenarios) it prints `127.0.0.1:PORT` and reads the same words from standard input, one command a line
(`replay FILE`, `fail_with FILE`, `hang`, `answer`, …); it ends with its input.
"""

import dataclasses
import gzip
import json
import pathlib
import re
import socket
import struct
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler

from .ports import Port


@dataclasses.dataclass(frozen=True)
class Request:
    """A request that was seen: `at` is time.monotonic(), field names are in lower case."""

    at: float
    method: str
    path: str
    query: dict[str, str]
    fields: dict[str, str]
    connection: int


@dataclasses.dataclass(frozen=True)
class Answer:
    """What is sent: a status, fields as they stand on the wire, and a body."""

    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes

    @staticmethod
    def recorded(path: str | pathlib.Path) -> "Answer":
        """Reads a trace: `>` request lines, a status line, fields, an empty line, the de-chunked body."""
        text = pathlib.Path(path).read_bytes().replace(b"\r\n", b"\n")
        head, _, body = text.partition(b"\n\n")
        status, fields = 0, []
        for line in head.decode().splitlines():
            if line.startswith(">"):
                continue
            line = line.removeprefix("< ")
            if line.startswith("HTTP/"):
                status = int(line.split()[1])
            else:
                name, _, value = line.partition(":")
                if name.lower() not in ("content-length", "transfer-encoding", "date"):
                    fields.append((name, value.strip()))
        return Answer(status, tuple(fields), body)

    @property
    def index(self) -> int | None:
        for name, value in self.fields:
            if name.lower() == "x-consul-index" and value.isdigit():
                return int(value)
        return None


def entry(
    node: str, address: str = "127.0.0.1", port: int = 8200,
    tags: tuple[str, ...] | None = ("active", "initialized"),
    checks: tuple[tuple[str, str], ...] = (("serfHealth", "passing"),), modify_index: int = 10,
) -> dict:
    """An instance of the service; `checks` are (CheckID, Status) pairs, those of the node are named serf… or _node…"""
    service = f"vault:{address}:{port}"
    return {
        "Node": {"Node": node, "Address": address, "Datacenter": "dc1", "Meta": None},
        "Service": {
            "ID": service, "Service": "vault", "Tags": None if tags is None else list(tags),
            "Address": address, "Port": port, "ModifyIndex": modify_index,
        },
        "Checks": [
            {
                "CheckID": name, "Status": status, "Output": "",
                "ServiceID": "" if name.startswith(("serf", "_node")) else service,
            }
            for name, status in checks
        ],
    }


class StandInConsul:
    """Listens on 127.0.0.1 from `start` (or `with`) until `stop`, on a port that is its own until the end of `with`."""

    def __init__(self, service: str = "vault"):
        self.service = service
        self.delay = 0.0  # Seconds in which a request arrives.
        self.requests: list[Request] = []
        self._changed = threading.Condition()
        self._answer = Answer(200, self._fields(1), b"[]")
        self._index = 1
        # Counts what was to be answered; what was answered last, and what whoever asks has had the answer to.
        self._epoch = self._answered = self._heard = 0
        self._fault, self._stopping = None, False
        self._connections: dict[int, socket.socket] = {}
        self._count = 0
        self._listener: socket.socket | None = None
        # Kept while it refuses, too: who asks for the port again must find it free.
        self._place = Port()
        self.port = self._place.number

    def __enter__(self) -> "StandInConsul":
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        self._place.close()

    def start(self):
        """Listens, and accepts."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(64)
        with self._changed:
            self._listener, self._stopping = listener, False
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def stop(self):
        """Closes the listener and resets every connection: from now on the port refuses."""
        with self._changed:
            self._stopping = True
            listener, self._listener = self._listener, None
            connections = list(self._connections.values())
            self._changed.notify_all()
        if listener:
            # close() alone leaves an accept() in another thread waiting, and the port bound.
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for connection in connections:
            _reset(connection)

    refuse = stop

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def index(self) -> int:
        with self._changed:
            return self._index

    def set(self, entries: list[dict] | bytes, index: int | None = None, **fields: str | None):
        """A new answer; the index goes up by one unless it is given. Blocked queries return at once.

        A field given (`X_Consul_Index="x"`) takes the place of Consul's own; None leaves it out.
        """
        body = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
        given = {name.replace("_", "-"): value for name, value in fields.items()}
        with self._changed:
            self._index = self._index + 1 if index is None else index
            merged = {**dict(self._fields(self._index)), **given}
            kept = tuple((name, value) for name, value in merged.items() if value is not None)
            self._publish(Answer(200, kept, body))

    def replay(self, path: str | pathlib.Path):
        """A recorded answer with its index."""
        answer = Answer.recorded(path)
        with self._changed:
            self._index = answer.index or self._index
            self._publish(answer)

    def fail_with(self, path: str | pathlib.Path):
        """A recorded error, for every query until something else is said; blocked queries get it at once."""
        answer = Answer.recorded(path)
        self._set_fault(lambda handler: handler.send(answer))

    def status(self, status: int, body: str = "", **fields: str):
        """An error in plain text."""
        extra = tuple((name.replace("_", "-"), value) for name, value in fields.items())
        answer = Answer(status, (("Content-Type", "text/plain"),) + extra, body.encode())
        self._set_fault(lambda handler: handler.send(answer))

    def answer(self):
        """Ends every fault: the last answer counts again."""
        self._set_fault(None)

    def hang(self):
        """Queries stay unanswered."""
        self._set_fault(lambda handler: self._wait_for_change())

    def reset(self):
        """Queries get half an answer and a reset."""
        self._set_fault(lambda handler: handler.send_half(reset=True))

    def truncate(self):
        """Queries get half an answer and the end of the connection."""
        self._set_fault(lambda handler: handler.send_half(reset=False))

    def lose_leader(self, entries: list[dict]):
        """Any server still says this, and that it has no leader; whoever wants the leader is refused."""
        fields = (("X-Consul-Index", "1"), ("X-Consul-Knownleader", "false"))
        old = Answer(200, fields, json.dumps(entries).encode())
        refusal = Answer(500, (), b"No cluster leader")
        self._set_fault(lambda handler: handler.send(old if "stale" in handler.query else refusal))

    def body(self, body: bytes):
        """Queries get this body, with status 200 and an index."""
        with self._changed:
            fields = self._fields(self._index)
        answer = Answer(200, fields, body)
        self._set_fault(lambda handler: handler.send(answer))

    def huge(self, size: int = 50 << 20):
        """Queries get a body of `size` bytes."""
        self.body(b"[" + b" " * (size - 2) + b"]")

    def nested(self, depth: int = 10_000):
        """Queries get arrays in arrays."""
        self.body(b"[" * depth + b"]" * depth)

    def html(self):
        """Queries get a page, with status 200."""
        self.body(b"<html><body>It works!</body></html>")

    def gzip(self):
        """Queries get the last answer compressed, though nobody asked for it."""
        with self._changed:
            last = self._answer
        fields = last.fields + (("Content-Encoding", "gzip"),)
        compressed = Answer(200, fields, gzip.compress(last.body))
        self._set_fault(lambda handler: handler.send(compressed))

    def wait_for_requests(self, count: int, timeout: float = 60.0) -> list[Request]:
        """Waits until `count` requests have been seen in all."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.requests) >= count, timeout):
                raise TimeoutError(f"{len(self.requests)} requests of {count}")
            return list(self.requests)

    def wait_until_heard(self, timeout: float = 60.0):
        """Waits for the question after an answer that is as things stand now: then the answer was acted on."""
        with self._changed:
            epoch = self._epoch
            if not self._changed.wait_for(lambda: self._heard >= epoch, timeout):
                raise TimeoutError("nobody asks on")

    @staticmethod
    def _fields(index: int) -> tuple[tuple[str, str], ...]:
        return (
            ("Content-Type", "application/json"),
            ("X-Consul-Index", str(index)),
            ("X-Consul-Knownleader", "true"),
            ("X-Consul-Lastcontact", "0"),
        )

    def _publish(self, answer: Answer):
        self._answer, self._fault = answer, None
        self._epoch += 1
        self._changed.notify_all()

    def _set_fault(self, fault):
        with self._changed:
            self._fault = fault
            self._epoch += 1
            self._changed.notify_all()

    def _wait_for_change(self):
        with self._changed:
            epoch = self._epoch
            self._changed.wait_for(lambda: self._stopping or self._epoch != epoch)

    def _accept(self, listener: socket.socket):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            # As Go does: else the body waits 40 ms for the acknowledgement of the head.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._changed:
                self._count += 1
                number = self._count
                self._connections[number] = connection
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int):
        try:
            _Handler(connection, ("", 0), self, number)
        except OSError:
            pass
        finally:
            with self._changed:
                self._connections.pop(number, None)
            connection.close()

    def _respond(self, handler: "_Handler", request: Request):
        with self._changed:
            self.requests.append(request)
            self._heard = self._answered
            self._changed.notify_all()
            asked = request.query.get("index", "")
            if self._fault is None and asked.isdigit() and int(asked) >= max(1, self._index):
                epoch = self._epoch
                wait = _seconds(request.query.get("wait", "5m"))
                self._changed.wait_for(lambda: self._stopping or self._epoch != epoch, wait)
            fault, answer = self._fault, self._answer
            if self._stopping:
                return
            self._answered = self._epoch
        if fault is not None:
            fault(handler)
        elif request.path != f"/v1/health/service/{self.service}":
            handler.send(Answer(200, answer.fields, b"[]"))
        else:
            handler.send(answer)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, connection, address, consul: StandInConsul, number: int):
        self.consul, self.number = consul, number
        super().__init__(connection, address, None)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        pairs = urllib.parse.parse_qsl(url.query, keep_blank_values=True)
        fields = {name.lower(): value for name, value in self.headers.items()}
        request = Request(
            time.monotonic(), self.command, url.path, dict(pairs), fields, self.number
        )
        self.close_connection = False
        self.query = request.query
        time.sleep(self.consul.delay)
        self.consul._respond(self, request)

    def send(self, answer: Answer):
        self.send_response_only(answer.status)
        for name, value in answer.fields:
            self.send_header(name, value)
            if (name.lower(), value.lower()) == ("connection", "close"):
                self.close_connection = True
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def send_half(self, reset: bool):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[{")
        self.wfile.flush()
        self.close_connection = True
        if reset:
            _reset(self.connection)

    def log_message(self, *_):
        pass


def _reset(connection: socket.socket):
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RD)
        connection.close()
    except OSError:
        pass


def _seconds(wait: str) -> float:
    """A Go duration of one unit, as Consul reads `wait`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)", wait)
    return float(match[1]) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[match[2]] if match else 300.0


def main():
    with StandInConsul() as consul:
        print(consul.address, flush=True)
        for line in sys.stdin:
            words = line.split()
            if not words:
                continue
            try:
                getattr(consul, words[0])(*words[1:])
                print("ok", flush=True)
            except (AttributeError, TypeError, OSError) as error:
                print(f"error: {error}", flush=True)


if __name__ == "__main__":
    main()

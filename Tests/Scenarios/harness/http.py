"""A raw HTTP/1.1 client: sends the bytes it is given, and takes no answer that is not exact."""

import dataclasses
import re
import socket
import ssl

STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) ([ -~]*)\Z")
FIELD_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([ -~]*?)[ \t]*\Z")


class ProtocolError(Exception):
    """The answer is not what RFC 9112 calls a response."""


class ConnectionEnded(ProtocolError):
    """The peer closed before a whole answer; `received` is what came of it."""

    def __init__(self, received: bytes):
        super().__init__(f"closed after {received!r}")
        self.received = received


@dataclasses.dataclass
class Response:
    status: int
    reason: str
    fields: list[tuple[str, str]]
    body: bytes

    def __getitem__(self, name: str) -> str:
        """The field's value; it must be there exactly once."""
        values = [value for key, value in self.fields if key.lower() == name.lower()]
        if len(values) != 1:
            raise KeyError(f"{name}: {len(values)} times")
        return values[0]

    def __contains__(self, name: str) -> bool:
        return any(key.lower() == name.lower() for key, _ in self.fields)


class Connection:
    """One connection. `leftover` is what came after the last response that was read."""

    def __init__(
        self, port: int, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None,
        seconds: float = 60, server_hostname: str = "localhost", source: str = "",
    ):
        self.leftover = b""
        self.socket = socket.create_connection(
            (host, port), timeout=seconds, source_address=(source, 0) if source else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=server_hostname)

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data: bytes):
        self.socket.sendall(data)

    def request(self, method: str, target: str, body: bytes = b"", **fields: str) -> Response:
        """One request, written plainly, and its response; a field's `_` stands for `-`."""
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        return self.response(to_head=method == "HEAD")

    def response(self, to_head: bool = False) -> Response:
        """Reads exactly one response."""
        head = self._take_until(b"\r\n\r\n")
        first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        status_line = STATUS_LINE.match(first)
        if not status_line:
            raise ProtocolError(f"status line {first!r}")
        fields = []
        for line in lines:
            field = FIELD_LINE.match(line)
            if not field:
                raise ProtocolError(f"field line {line!r}")
            fields.append((field[1].decode(), field[2].decode()))
        response = Response(int(status_line[1]), status_line[2].decode(), fields, b"")
        if "Transfer-Encoding" in response:
            raise ProtocolError("Transfer-Encoding: this server has no reason to send it")
        if not to_head and response.status >= 200 and response.status not in (204, 304):
            length = response["Content-Length"]
            if not length.isdigit():
                raise ProtocolError(f"Content-Length: {length}")
            response.body = self._take(int(length))
        return response

    def read_to_end(self) -> bytes:
        """What comes until the peer closes, after what was read so far."""
        while self._receive():
            pass
        rest, self.leftover = self.leftover, b""
        return rest

    def _receive(self) -> bool:
        data = self.socket.recv(65536)
        self.leftover += data
        return bool(data)

    def _take_until(self, mark: bytes) -> bytes:
        while mark not in self.leftover:
            if not self._receive():
                raise ConnectionEnded(self.leftover)
        return self._take(self.leftover.index(mark) + len(mark))

    def _take(self, count: int) -> bytes:
        while len(self.leftover) < count:
            if not self._receive():
                raise ConnectionEnded(self.leftover)
        taken, self.leftover = self.leftover[:count], self.leftover[count:]
        return taken

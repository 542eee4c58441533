"""A stand-in for one Vault node on loopback: /v1/sys/health over TLS, with the status that a test wants."""

import http.server
import json
import pathlib
import ssl
import threading
import time

from .certs import Certificates


def health(status: int) -> dict:
    """What Vault says in `/v1/sys/health` with this status."""
    is_standby = status in (429, 472, 473, 474, 501, 503)
    return {
        "initialized": status != 501, "sealed": status in (501, 503), "standby": is_standby,
        "performance_standby": status == 473, "version": "1.19.0",
    }


class StandInVault:
    """Answers from `with` until its end; `status`, `body` (in place of what Vault says with the status) and `active_time` may change at any time.

    `client_ca`: clients need a certificate of that CA. `keeps_alive`: a connection may ask again. `hosts` and `names` are the Host fields and the SNI
    names seen, `connections` and `requests` count, `answers` are the times (time.monotonic()) and statuses of what
    /v1/sys/health was about to say.
    """

    def __init__(
        self, certificates: Certificates, status: int = 200, client_ca: pathlib.Path | None = None,
        keeps_alive: bool = True, host: str = "127.0.0.1", port: int = 0,
    ):
        self.status = status
        self.body: bytes | None = None
        self.keeps_alive = keeps_alive
        self.active_time: str | None = None
        self.requests = self.connections = 0
        self.hosts: list[str] = []
        self.answers: list[tuple[float, int]] = []
        self.names: list[str | None] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.chain, certificates.key)
        context.sni_callback = lambda _, name, __: self.names.append(name)
        if client_ca:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        self._server = _Server((host, port), _Handler)
        self._server.vault, self._server.context = self, context
        self.port = self._server.server_port
        self.origin = f"https://{host}:{self.port}"

    def __enter__(self) -> "StandInVault":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def finish_request(self, request, client_address):
        # In the connection's own thread, so that a failed handshake stops nobody else.
        with self.context.wrap_socket(request, server_side=True) as connection:
            self.vault.connections += 1
            super().finish_request(connection, client_address)

    def handle_error(self, request, client_address):
        pass  # A prober that goes away in the middle is none of the test's business.


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # One write for the whole answer.
    disable_nagle_algorithm = True

    def do_GET(self):
        vault = self.server.vault
        vault.requests += 1
        vault.hosts.append(self.headers["Host"])
        status, body = 404, {}
        if self.path.startswith("/v1/sys/health"):
            status = vault.status
            body = vault.body or health(status)
            vault.answers.append((time.monotonic(), status))
        elif self.path == "/v1/sys/leader" and vault.active_time:
            status = 200
            body = {"ha_enabled": True, "is_self": True, "active_time": vault.active_time}
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        if not vault.keeps_alive:
            self.send_header("Connection", "close")  # Which the base class heeds, too.
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass

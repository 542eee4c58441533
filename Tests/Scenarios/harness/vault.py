"""A stand-in for one Vault node on loopback: /v1/sys/health over TLS, with the status that a test wants."""

import http.server
import ssl
import threading

from .certs import Certificates


class StandInVault:
    """Answers from `with` (or `start`) until `stop`; `status` may change at any time."""

    def __init__(self, certificates: Certificates, status: int = 200):
        self.status = status
        self.requests = 0
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.chain, certificates.key)
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.vault = self
        self._server.context = context
        self.origin = f"https://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "StandInVault":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def finish_request(self, request, client_address):
        # The handshake belongs to the connection's own thread.
        with self.context.wrap_socket(request, server_side=True) as connection:
            super().finish_request(connection, client_address)

    def handle_error(self, request, client_address):
        pass  # A prober that goes away in the middle is none of the test's business.


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        vault = self.server.vault
        vault.requests += 1
        self.send_response(vault.status if self.path.startswith("/v1/sys/health") else 404)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass

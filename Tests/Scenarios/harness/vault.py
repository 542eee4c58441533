"""A stand-in for one Vault node: answers /v1/sys/health over TLS with a status that the test sets."""

import http.server
import pathlib
import ssl
import threading


class StandInVault:
    """Serves on 127.0.0.1 with the given chain and key from `with` until its end."""

    def __init__(self, chain: pathlib.Path, key: pathlib.Path, client_ca: pathlib.Path | None = None):
        self.status = 200
        self.hosts: list[str] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        self.names: list[str | None] = []
        context.sni_callback = lambda _, name, __: self.names.append(name)
        if client_ca:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        vault = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                vault.hosts.append(self.headers["Host"])
                self.send_response(vault.status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def finish_request(self, connection, address):
                # In the connection's own thread, so that a failed handshake stops nobody else.
                with context.wrap_socket(connection, server_side=True) as secured:
                    Handler(secured, address, self)

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]

    def __enter__(self) -> "StandInVault":
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

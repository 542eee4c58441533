"""TLS from the client's side: which leaf is served, and whether a session goes on."""

import hashlib
import pathlib
import re
import ssl
import subprocess

from .http import Connection, Response
from .redirector import Redirector


def versioned(context: ssl.SSLContext, version: str) -> ssl.SSLContext:
    """The context, for `1.2` or `1.3` alone."""
    context.minimum_version = context.maximum_version = ssl.TLSVersion["TLSv" + version.replace(".", "_")]
    return context


def client_context(authority: pathlib.Path, certificate=None, key=None) -> ssl.SSLContext:
    """For clients that trust `authority` alone, and show a certificate where one is given."""
    context = ssl.create_default_context(cafile=authority)
    if certificate:
        context.load_cert_chain(certificate, key)
    return context


def fetch(
    run: Redirector, context: ssl.SSLContext, session: ssl.SSLSession | None = None, seconds=60,
) -> tuple[Response, ssl.SSLSession, bool]:
    """One request on a connection of its own: the response, the session, and whether it was resumed.

    By TLS 1.3 the ticket comes after the handshake, so the session is asked for after the response.
    """
    with Resuming(run.port, context, session, seconds) as connection:
        response = connection.request("GET", "/v1/sys/health", Connection="close")
        return response, connection.socket.session, connection.socket.session_reused


class Resuming(Connection):
    """A connection that offers a session."""

    def __init__(self, port: int, context: ssl.SSLContext, session, seconds: float):
        super().__init__(port, seconds=seconds)
        self.socket = context.wrap_socket(
            self.socket, server_hostname="localhost", session=session)


def leaf(run: Redirector, context: ssl.SSLContext) -> str:
    """The SHA-256 of the certificate that a new connection is shown."""
    with Connection(run.port, tls=context, seconds=60) as connection:
        return hashlib.sha256(connection.socket.getpeercert(binary_form=True)).hexdigest()


def leaf_of(path: pathlib.Path) -> str:
    """The same of the first certificate in a file."""
    text = path.read_text()
    block = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.DOTALL)
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(block[0])).hexdigest()


def s_client(run: Redirector, *arguments: object, sends: str | None = None) -> str:
    """All that openssl s_client says, whatever it thinks of it."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{run.port}", *map(str, arguments)],
        input=sends, stdin=None if sends else subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=120)
    return done.stdout

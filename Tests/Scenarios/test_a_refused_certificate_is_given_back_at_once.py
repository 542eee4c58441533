"""What a client has shown, and was refused for, leaves the memory at once and not when its connection is over."""

import contextlib
import socket
import ssl
import subprocess

import pytest

from harness.authority import Authority
from harness.metrics import wait_for_count
from harness.tls import client_context, versioned

CLIENTS = 40
# Subject and issuer have so many units of 12 bytes each: some 90 KiB, of the 100 KiB that OpenSSL takes, and 1.4 MiB once
# they are parsed.
UNITS = 3800
# Where each client costs what it has shown, it is twice this; where none does, a tenth.
GROWTH = 25 << 20


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """A certificate that nobody knows and that has a long name, and its key."""
    directory = tmp_path_factory.mktemp("stranger")
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-config", "/dev/null", "-subj", "/CN=mallory" + UNITS * "/OU=x", "-days", "9",
         "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_memory(serving, certificates, stranger, tmp_path, version):
    known = Authority(tmp_path / "known", "Known")
    run = serving("--client-ca", known.certificate, "--workers", "1")
    context = versioned(client_context(certificates.ca, *stranger), version)
    with contextlib.ExitStack() as clients:
        for count in range(1, CLIENTS + 1):
            client = socket.create_connection(("127.0.0.1", run.port), timeout=60)
            client = clients.enter_context(context.wrap_socket(
                client, server_hostname="localhost", do_handshake_on_connect=False))
            # Once it has the alert it stays, and the server waits for its end.
            with pytest.raises(ssl.SSLError):
                client.do_handshake()
                client.recv(1)
            wait_for_count(
                run, "tls_handshake_failures_total", count, reason="client_certificate_untrusted")
            if count == 1:
                # What the first of them costs once and for all is no matter.
                before = run.memory()["Anonymous"]
        growth = run.memory()["Anonymous"] - before
        assert growth < GROWTH

"""Whatever a client does wrong in TLS has its reason and words, and the next one on the same worker is served."""

import contextlib
import socket
import ssl
import struct

import pytest

from harness.http import Connection
from harness.metrics import wait_for_count
from harness.tls import fetch, s_client

REQUEST = b"GET /v1/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture
def run(serving):
    """With one worker: the next connection is on the same thread."""
    return serving("--workers", "1", "-v")


@pytest.fixture(autouse=True)
def next_one(run, certificates):
    """After each test: a client that does nothing wrong, and is charged with nothing."""
    yield
    before = wait_for_count(run, "connections_active", 1)
    assert fetch(run, certificates.client_context())[0].status == 307
    after = wait_for_count(run, "connections_active", 1)
    assert after("tls_handshakes_total") == before("tls_handshakes_total") + 1
    assert after("tls_handshake_failures_total") == before("tls_handshake_failures_total")
    assert after.closed("tls_error") == before.closed("tls_error")


def drain(connection):
    try:
        while connection.recv(65536):
            pass
    except OSError:
        pass


def sends(data):
    def act(port, certificates):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(data)
            with contextlib.suppress(OSError):  # It may be closed already.
                connection.shutdown(socket.SHUT_WR)
            drain(connection)

    return act


def handshakes(change):
    """A handshake with a context that `change` has made unfit."""

    def act(port, certificates):
        context = certificates.client_context()
        context = change(context) or context
        with pytest.raises((ssl.SSLError, ConnectionError)):
            with Connection(port, tls=context, seconds=60) as connection:
                connection.request("GET", "/v1/a")

    return act


def only_old(version):
    def change(context):
        context.minimum_version = context.maximum_version = version
        context.set_ciphers("ALL:@SECLEVEL=0")

    return change


def only_cipher(name):
    def change(context):
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(f"{name}:@SECLEVEL=0")

    return change


FAILURES = {
    "http_request": (sends(b"GET / HTTP/1.1\r\n\r\n"), "plain HTTP on the TLS port"),
    "proxy_header": (
        sends(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"), "PROXY header where TLS was expected"),
    "not_tls": (sends(b"SSH-2.0-OpenSSH_9.2\r\n"), "what the client sent is not TLS"),
    "protocol_version": (
        handshakes(only_old(ssl.TLSVersion.TLSv1)), "client offered only TLS 1.0"),
    "no_shared_cipher": (handshakes(only_cipher("ECDHE-ECDSA-AES128-SHA")), "no shared cipher"),
    "no_shared_group": (
        handshakes(lambda context: context.set_ecdh_curve("secp521r1")),
        "no shared key exchange group"),
    "unknown_ca": (
        handshakes(lambda _: ssl.create_default_context()),
        "client does not trust our CA (unknown ca)"),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("reason", FAILURES)
def test_a_failed_handshake_has_its_reason_in_words(run, certificates, reason):
    act, words = FAILURES[reason]
    act(run.port, certificates)
    metrics = wait_for_count(run, "tls_handshake_failures_total", 1, reason=reason)
    assert metrics("tls_handshake_failures_total") == 1
    line = run.wait_for_line(lambda line: "TLS failed" in line and words in line)
    assert "level=debug" in line


def test_an_alert_is_heard_though_a_reset_follows_it(run, certificates):
    for _ in range(20):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
        with socket.create_connection(("127.0.0.1", run.port), timeout=60) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            refused = False
            while not refused:
                try:
                    tls.do_handshake()
                except ssl.SSLWantReadError:
                    connection.sendall(outgoing.read())
                    incoming.write(connection.recv(65536))
                except ssl.SSLCertVerificationError:
                    refused = True
            connection.sendall(outgoing.read())
    metrics = wait_for_count(run, "tls_handshake_failures_total", 20, reason="unknown_ca")
    assert metrics("tls_handshake_failures_total") == 20


def test_one_byte_at_a_time_is_served(run, certificates):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = certificates.client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", run.port), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def step(call):
            while True:
                try:
                    return call()
                except ssl.SSLWantReadError:
                    dribble()
                    data = connection.recv(1)
                    incoming.write(data) if data else incoming.write_eof()
                finally:
                    dribble()

        def dribble():
            for byte in outgoing.read():
                connection.send(bytes([byte]))

        step(tls.do_handshake)
        step(lambda: tls.write(REQUEST))
        assert step(lambda: tls.read(12)) == b"HTTP/1.1 307"


def test_a_half_close_is_answered(run, certificates):
    with Connection(run.port, tls=certificates.client_context(), seconds=60) as connection:
        connection.send(REQUEST)
        with socket.socket(fileno=connection.socket.fileno()) as plain:
            plain.shutdown(socket.SHUT_WR)
            assert connection.response().status == 307
            plain.detach()


@pytest.mark.parametrize("how", ["end", "reset"])
def test_an_end_without_close_notify_is_an_end(run, certificates, how):
    connection = Connection(run.port, tls=certificates.client_context(), seconds=60)
    assert connection.request("GET", "/v1/a").status == 307
    if how == "reset":
        connection.socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.socket.close()
    # The scrape's own connection is left.
    wait_for_count(run, "connections_active", 1)


def test_a_client_that_wants_to_renegotiate_is_told_no(run):
    output = s_client(run, "-tls1_2", sends="R\n")
    assert "RENEGOTIATING" in output
    assert "no renegotiation" in output


def test_a_forged_record_ends_the_connection_alone(run, certificates):
    connection = Connection(run.port, tls=certificates.client_context(), seconds=60)
    with socket.socket(fileno=connection.socket.detach()) as plain:
        plain.settimeout(60)
        plain.sendall(b"\x17\x03\x03\x00\x20" + b"z" * 32)
        drain(plain)
    wait_for_count(run, "connections_active", 1)


def test_nothing_is_compressed_and_nothing_is_early(run, tmp_path):
    session, early = tmp_path / "session", tmp_path / "early"
    early.write_bytes(REQUEST)
    output = s_client(run, "-tls1_3", "-sess_out", session, "-ign_eof", sends=REQUEST.decode())
    assert "HTTP/1.1 307" in output and "Max Early Data: 0" in output
    assert "Compression: NONE" in output
    again = s_client(
        run, "-tls1_3", "-sess_in", session, "-early_data", early, "-ign_eof",
        sends=REQUEST.decode())
    assert "Reused, TLSv1.3" in again and "Early data was accepted" not in again
    assert again.count("HTTP/1.1 307") == 1

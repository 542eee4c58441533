"""ALPN: http/1.1 is taken from any list, a list without it is refused by its alert, and no list is no matter."""

import ssl

import pytest

from harness.http import Connection
from harness.metrics import scrape, wait_for_count
from harness.tls import s_client, versioned

VERSIONS = ["1.2", "1.3"]


def connect(run, context, offered, name="localhost"):
    if offered:
        context.set_alpn_protocols(offered)
    return Connection(run.port, tls=context, seconds=60, server_hostname=name)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "offered", [["http/1.1"], ["h2", "http/1.1"], ["h3", "h2", "http/1.1", "http/1.0"], []])
def test_served(serving, certificates, version, offered):
    run = serving()
    with connect(run, versioned(certificates.client_context(), version), offered) as connection:
        agreed = "http/1.1" if offered else None
        assert connection.socket.selected_alpn_protocol() == agreed
        assert connection.request("GET", "/v1/a").status == 307


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("offered", [["h2"], ["http/1.0"], ["http/1"], ["http/1.10", "h2"]])
def test_refused(serving, certificates, version, offered):
    run = serving("-v")
    context = versioned(certificates.client_context(), version)
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        connect(run, context, offered)
    metrics = wait_for_count(
        run, "tls_handshake_failures_total", 1, reason="no_application_protocol")
    assert metrics("tls_handshake_failures_total") == 1
    assert metrics("tls_handshakes_total") == 0
    run.wait_for_line("client speaks other protocols than http/1.1 only (ALPN)")


def test_the_alert_is_number_120(serving):
    assert "SSL alert number 120" in s_client(serving(), "-alpn", "h2")


def test_no_name_and_any_name_are_served(serving, certificates):
    run = serving()
    assert "New, TLSv1.3" in s_client(run, "-noservername")
    context = certificates.client_context()
    context.check_hostname = False
    for name in (None, "vault.example.com"):
        with connect(run, context, [], name) as connection:
            assert connection.request("GET", "/v1/a").status == 307
    assert scrape(run)("tls_handshake_failures_total") == 0

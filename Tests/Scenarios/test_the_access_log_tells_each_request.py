"""--access-log on: one logfmt line a request, without queries, fields or bodies."""

import shlex

import pytest

from harness.authority import Authority
from harness.http import Connection
from harness.proxy import tlv, v2
from harness.tls import client_context

SECRET = "hvs.SECRET"


def entries(run):
    """The fields of every line of the access log."""
    return [
        dict(word.split("=", 1) for word in shlex.split(line))
        for line in run.lines if "msg=request" in line]


def ask(connection, target="/v1/x"):
    assert connection.request(
        "PUT", target, body=SECRET.encode(), X_Vault_Token=SECRET).status == 307


def test_over_tls(serving, dial):
    run = serving("--access-log", "on")
    with dial(run) as connection:
        client = "%s:%d" % connection.socket.getsockname()
        ask(connection, f"/v1/kv?token={SECRET}")
        ask(connection, '/v1/a"b%20=c')
    assert run.stop() == 0
    first, second = entries(run)
    assert first["level"] == "info"
    assert (first["client"], first["method"], first["path"]) == (client, "PUT", "/v1/kv")
    assert (first["status"], first["location_host"]) == ("307", "127.0.0.1")
    assert first["tls"] == "1.3"
    assert first["dur_us"].isdigit()
    assert second["path"] == '/v1/a"b%20=c'
    assert first["conn"] == second["conn"]
    assert "lb" not in first
    assert SECRET not in run.log.read_text()


@pytest.mark.parametrize("piece", ["x", '"', "\\", '\\"'])
def test_a_long_path_costs_no_field_and_closes_its_quotes(serving, certificates, tmp_path, piece):
    """5,000 bytes and more of what a client chooses: what we know of it is in the line all the same."""
    authority = Authority(tmp_path / "clients", "Clients")
    shown = authority.issue("alice")
    run = serving("--access-log", "on", "--client-ca", authority.certificate)
    context = client_context(certificates.ca, shown.certificate, shown.key)
    path = "/v1/" + 5000 * piece
    with Connection(run.port, tls=context, seconds=30) as connection:
        ask(connection, path)
        ask(connection, "/v1/after")
    assert run.stop() == 0
    # Where a quote stayed open, a line could not be taken apart.
    long, after = entries(run)
    known = ["client", "conn", "status", "tls", "location_host", "method", "client_cert"]
    assert {name: long[name] for name in known} == {name: after[name] for name in known}
    assert (long["status"], long["location_host"]) == ("307", "127.0.0.1")
    assert "CN=alice" in long["client_cert"]
    written = long["path"]
    assert written.endswith("...") and path.startswith(written.removesuffix("..."))
    assert after["path"] == "/v1/after"


def test_behind_a_load_balancer_without_tls(serving):
    run = serving(
        "--access-log", "on", "--proxy-protocol", "v2", "--proxy-protocol-from", "127.0.0.1",
        tls=False)
    with Connection(run.port) as connection:
        balancer = "%s:%d" % connection.socket.getsockname()
        connection.send(v2(tlvs=tlv(0xEA, b"\x01vpce-0a")))
        ask(connection)
    assert run.stop() == 0
    [entry] = entries(run)
    assert (entry["client"], entry["lb"], entry["vpce"]) == ("192.0.2.7:5678", balancer, "vpce-0a")
    assert "tls" not in entry


def test_without_paths(serving, dial):
    run = serving("--access-log", "on", "--log-path", "off")
    with dial(run) as connection:
        ask(connection, "/v1/secret-path")
    assert run.stop() == 0
    [entry] = entries(run)
    assert "path" not in entry
    assert "secret-path" not in run.log.read_text()


def test_off_is_the_default(serving, dial):
    run = serving()
    with dial(run) as connection:
        ask(connection)
    assert run.stop() == 0
    assert entries(run) == []

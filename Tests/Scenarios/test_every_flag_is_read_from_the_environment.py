"""`VAULT_REDIRECTOR_<FLAG>` for every flag that --help shows; the command line wins."""

import base64
import os
import re
import subprocess

import pytest

CONSUL = "127.0.0.1:8500"

# A value that is right and one that is wrong; None where there is none, or no server comes of it.
VALUES = {
    "verbose": ("2", "often"), "log-disable": ("true", "maybe"), "https": ("1", "maybe"),
    "ip": ("yes", "2"), "poll-interval": ("0.5", "soon"), "port": ("0", "http"),
    "cert-path": ("{chain}", "/missing"), "key-path": ("{key}", "/missing"),
    "checkid": ("serfHealth", None), "bind": ("127.0.0.1,::1", "localhost"),
    "workers": ("1", "0"), "allow-downgrade": ("on", "maybe"),
    "proxy-protocol": ("v2", "v3"), "proxy-protocol-from": ("127.0.0.0/8,::1", "ten"),
    "admin": ("127.0.0.1:0", "9090"), "admin-allow-remote": ("0", "maybe"),
    "access-log": ("on", "loud"), "log-path": ("off", "query"),
    "service": ("openbao", 254 * "x"), "active-tag": ("leader", None), "require-tag": ("primary,eu", None), "target": ("service", "name"),
    "vault-addr": ("https://127.0.0.1:1,https://127.0.0.1:2", "ftp://127.0.0.1"),
    "vault-cacert": ("{ca}", "/missing"),
    "select": ("tag", "name"), "target-template": ("https://{{node}}.example.com:8200", "node"),
    "allow-target": ("*.example.com,10.0.0.0/8", "10.0.0.0/99"), "datacenter": ("dc1", None),
    "namespace": ("team", None), "partition": ("default", None), "print-target": (None, "maybe"),
    "json": (None, "maybe"), "verify-target": ("1", "maybe"), "stale-limit": ("0", "-1"),
    "probe-interval": ("1", "0"), "probe-timeout": ("1", "0"), "hold": ("1", "-1"),
    "hold-max": ("10", "-1"), "health-grace": ("1", "-1"), "health-stale": ("1", "-1"), "vanish-grace": ("1", "-1"),
    "tls-policy": ("modern", "old"), "tls-min": ("1.3", "1.1"),
    "tls-ciphers": ("ECDHE-ECDSA-AES128-GCM-SHA256", "NONE-SUCH"),
    "tls-ciphersuites": ("TLS_AES_128_GCM_SHA256", "NONE-SUCH"),
    "tls-groups": ("X25519", "NONE-SUCH"), "cert-watch": ("off", "maybe"),
    "ticket-key-file": ("{tickets}", "/missing"), "client-ca": ("{ca}", "/missing"),
    "client-verify": ("optional", "maybe"), "client-depth": ("2", "-1"),
    "client-crl": (None, "/missing"), "check-config": (None, "maybe"),
    "max-connections": ("10", "0"), "backlog": ("5", "0"), "max-connections-per-ip": ("5", "-1"),
    "max-requests-per-connection": ("7", "-1"), "max-request-line": ("4096", "1"),
    "max-head": ("8192", "1"), "max-fields": ("50", "0"), "max-body": ("0", "-1"),
    "body-timeout": ("1", "0"), "head-timeout": ("1.5", "0"), "handshake-timeout": ("1", "0"),
    "proxy-header-timeout": ("1", "0"), "keep-alive-timeout": ("1", "0"),
    "write-timeout": ("1", "0"), "linger-timeout": ("1", "0"), "shutdown-timeout": ("1", "0"),
}

# What some flags ask of others.
TLS = {"cert-path": "{chain}", "key-path": "{key}", "https": "1"}
COMPANY = {
    **{flag: TLS for flag in (
        "cert-path", "key-path", "tls-policy", "tls-min", "tls-ciphers", "tls-ciphersuites",
        "tls-groups", "cert-watch", "ticket-key-file", "client-ca")},
    **{flag: {**TLS, "client-ca": "{ca}"} for flag in (
        "client-verify", "client-depth", "client-crl")},
    "proxy-protocol": {"proxy-protocol-from": "127.0.0.1"},
    "proxy-protocol-from": {"proxy-protocol": "v1"},
    "log-path": {"access-log": "on"},
    "verify-target": {"https": "1"},
    **{flag: {"vault-addr": "https://127.0.0.1:1"} for flag in (
        "vault-cacert", "probe-interval", "probe-timeout")},
}


def variable(flag: str) -> str:
    return "VAULT_REDIRECTOR_" + flag.upper().replace("-", "_")


@pytest.fixture
def environment(certificates, tmp_path):
    """The variables for some flags."""
    tickets = tmp_path / "tickets"
    tickets.write_bytes(b"".join(base64.b64encode(os.urandom(80)) + b"\n" for _ in range(3)))
    tickets.chmod(0o600)
    files = {
        "chain": certificates.chain, "key": certificates.key, "ca": certificates.ca,
        "tickets": tickets}
    return lambda flags: {variable(key): value.format(**files) for key, value in flags.items()}


def run(binary, environment, *arguments):
    return subprocess.run(
        [binary, *arguments], env=environment, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=60)


def test_the_tables_here_have_every_flag_of_the_help(binary):
    shown = re.findall(r"^  (?:-\w, )?--([a-z-]+)", run(binary, {}, "--help").stdout, re.MULTILINE)
    assert set(VALUES) == set(shown) - {"help", "version"}


@pytest.mark.parametrize("flag", [flag for flag in VALUES if VALUES[flag][0] is not None])
def test_a_right_value_is_taken(redirector, environment, flag):
    company = COMPANY.get(flag, {})
    variables = {"bind": "127.0.0.1", "port": "0", **company, flag: VALUES[flag][0]}
    arguments = [] if "vault-addr" in variables else [CONSUL]
    run = redirector(
        *arguments, environment=environment(variables), port_from_environment=True,
        listeners=2 if flag in ("bind", "admin") else 1)
    expected = "tls" if "cert-path" in variables else "plain"
    assert run.listeners[0].transport == expected


@pytest.mark.parametrize("flag", [flag for flag in VALUES if VALUES[flag][1] is not None])
def test_a_wrong_value_is_refused_by_name(binary, environment, flag):
    company = COMPANY.get(flag, {})
    variables = environment({"port": "0", **company, flag: VALUES[flag][1]})
    done = run(binary, variables, *([] if "vault-addr" in {flag, *company} else [CONSUL]))
    assert done.returncode in (64, 66, 78)
    [line] = done.stderr.splitlines()
    assert f"--{flag}" in line or variable(flag) in line


@pytest.mark.parametrize(("flag", "value"), [
    ("--port", "0"), ("-P", "0"), ("-P0", None), ("--port=0", None)])
def test_the_command_line_wins(redirector, flag, value):
    words = [flag] if value is None else [flag, value]
    run = redirector(
        CONSUL, "--bind", "127.0.0.1", *words, port_from_environment=True,
        environment={variable("port"): "1", variable("bind"): "::1"})
    assert run.listeners[0].address == "127.0.0.1"


def test_what_kubernetes_says_of_a_service_is_no_port(binary):
    done = run(binary, {variable("port"): "tcp://10.0.0.1:8080"}, "--check-config", CONSUL)
    assert (done.returncode, done.stderr) == (0, "")

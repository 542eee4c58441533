"""Probes speak TLS: with the CA that was named and no other, by the name that was named, with our certificate."""

import subprocess

import pytest

from harness.http import Connection
from harness.polling import wait_until
from harness.vault import StandInVault


@pytest.fixture
def vault(certificates):
    with StandInVault(certificates) as vault:
        yield vault


def start(redirector, vault, host: str = "127.0.0.1", **environment: str):
    return redirector(
        "--bind", "127.0.0.1", "--vault-addr", f"https://{host}:{vault.port}",
        environment=environment)


def status(run) -> int:
    with Connection(run.port) as connection:
        return connection.request("GET", "/v1/x").status


@pytest.mark.parametrize("variable", ["VAULT_CACERT", "BAO_CACERT"])
def test_the_named_authority_is_trusted(redirector, vault, certificates, variable):
    run = start(redirector, vault, **{variable: str(certificates.ca)})
    wait_until("a redirect", lambda: status(run) == 307)


def test_an_unknown_authority_is_not(redirector, vault):
    run = start(redirector, vault)
    run.wait_for_line("no vault node answers")
    assert status(run) == 503
    assert vault.hosts == []


def test_the_named_authority_is_trusted_alone(redirector, vault, certificates, tmp_path):
    """A CA of our own is given: the system's, among which the right one could be, must not count beside it."""
    other, key = tmp_path / "other.pem", tmp_path / "other.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-subj", "/CN=other", "-keyout", key, "-out", other, "-days", "2"],
        check=True, stderr=subprocess.DEVNULL)
    run = start(redirector, vault, VAULT_CACERT=str(other), SSL_CERT_FILE=str(certificates.ca))
    run.wait_for_line("no vault node answers")
    assert status(run) == 503


def test_unless_verification_is_skipped(redirector, vault):
    run = start(redirector, vault, VAULT_SKIP_VERIFY="true")
    wait_until("a redirect", lambda: status(run) == 307)


def test_the_name_must_be_in_the_certificate(redirector, vault, certificates):
    run = start(
        redirector, vault, VAULT_CACERT=str(certificates.ca), VAULT_TLS_SERVER_NAME="other.example")
    run.wait_for_line("no vault node answers")
    assert status(run) == 503


def test_the_named_server_is_asked_for_and_the_address_is_redirected_to(
    redirector, vault, certificates
):
    run = start(
        redirector, vault, VAULT_CACERT=str(certificates.ca), VAULT_TLS_SERVER_NAME="localhost")
    wait_until("a redirect", lambda: status(run) == 307)
    assert set(vault.names) == {"localhost"}
    assert set(vault.hosts) == {f"127.0.0.1:{vault.port}"}
    with Connection(run.port) as connection:
        location = connection.request("GET", "/v1/x")["Location"]
    assert location == f"https://127.0.0.1:{vault.port}/v1/x"


def test_a_client_certificate_is_shown(redirector, certificates):
    with StandInVault(certificates, client_ca=certificates.ca) as vault:
        bare = start(redirector, vault, VAULT_CACERT=str(certificates.ca))
        bare.wait_for_line("no vault node answers")
        run = start(
            redirector, vault, VAULT_CACERT=str(certificates.ca),
            VAULT_CLIENT_CERT=str(certificates.chain), VAULT_CLIENT_KEY=str(certificates.key))
        wait_until("a redirect", lambda: status(run) == 307)
        assert status(bare) == 503

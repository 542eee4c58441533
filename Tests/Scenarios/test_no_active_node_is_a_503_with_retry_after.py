"""Without an active node the program starts, listens, answers 503, and redirects once there is one."""

import json

import pytest

from harness.polling import wait_until
from harness.vault import StandInVault


def check(response, body=True):
    assert response.status == 503
    assert response["Retry-After"] == "1"
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert "Location" not in response
    if body:
        [message] = json.loads(response.body)["errors"]
        assert message


def test_nobody_answers_at_the_start(redirector, dial, certificates):
    run = redirector(
        "--bind", "127.0.0.1", "-c", certificates.chain, "-k", certificates.key,
        "--vault-addr", "https://127.0.0.1:1")
    with dial(run) as connection:
        check(connection.request("GET", "/v1/x"))
        check(connection.request("HEAD", "/v1/x"), body=False)
        check(connection.request("PUT", "/v1/x", body=b"{}"))
        check(connection.request("GET", "/v1/x"))  # And the connection stays.
    assert run.stop() == 0


@pytest.mark.parametrize("status", [429, 472, 473, 501, 503])
def test_a_node_that_is_not_active_becomes_so(redirector, dial, certificates, status):
    with StandInVault(certificates, status) as vault:
        run = redirector(
            "--bind", "127.0.0.1", "--vault-addr", vault.origin,
            "--vault-cacert", certificates.ca)
        with dial(run) as connection:
            wait_until("a probe", lambda: vault.requests)
            check(connection.request("GET", "/v1/x"))
            vault.status = 200
            answer = lambda: connection.request("GET", "/v1/x")
            wait_until("the redirect", lambda: answer().status == 307)
            vault.status = status
            wait_until("the end of it", lambda: answer().status == 503)
            check(answer())

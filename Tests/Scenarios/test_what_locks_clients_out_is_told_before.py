"""The end of a client CA, of a revocation list and of what is sent with the leaf; ticket keys that nobody replaces."""

import base64
import datetime
import os
import time

import pytest

from harness.authority import AUTHORITY, Authority, join
from harness.metrics import scrape

DAYS = datetime.timedelta(days=1)
# What is left of 60 days, and the words for a certificate and for a list.
LEFT = {
    "long": (40 * DAYS, None, None),
    "a third": (19 * DAYS, "certificate expires soon", "revocation list expires soon"),
    "a sixth": (9 * DAYS, "certificate expires soon", "revocation list expires soon"),
    "over": (
        -DAYS, "certificate has expired",
        "revocation list has expired: the clients of its issuer are refused"),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("locked") / "root")


def told(run, *words):
    run.stop()
    return [line for line in run.lines if all(word in line for word in words)]


@pytest.mark.parametrize("left", LEFT)
def test_a_client_authority(serving, root, left):
    end, words, _ = LEFT[left]
    authority = root.issue("Clients", extensions=AUTHORITY, start=end - 60 * DAYS, end=end)
    run = serving("--client-ca", authority.certificate)
    labels = {"serial": authority.serial, "role": "client_ca", "cn": "Clients"}
    metrics = scrape(run)
    assert metrics("tls_certificate_lifetime_seconds", **labels) == 60 * 86400
    ends = metrics("tls_certificate_not_after_timestamp_seconds", **labels)
    assert abs(ends - time.time() - end.total_seconds()) < 3600
    lines = told(run, f"serial={authority.serial}", "role=client_ca", f"{authority.certificate}")
    assert len(lines) == (1 if words else 0)
    assert all(words in line and "level=warning" in line for line in lines)


@pytest.mark.parametrize("left", LEFT)
def test_a_revocation_list(serving, root, left):
    end, _, words = LEFT[left]
    crl = root.revocation_list(start=end - 60 * DAYS, end=end)
    # One that is older, of the same issuer: the newer one is asked.
    both = join(crl.with_suffix(".both"), root.revocation_list(start=-90 * DAYS, end=-80 * DAYS), crl)
    run = serving("--client-ca", root.certificate, "--client-crl", both)
    metrics = scrape(run)
    assert metrics("tls_crl_lifetime_seconds", issuer="CN=Root") == 60 * 86400
    for name, moment in (("next", end), ("last", end - 60 * DAYS)):
        seconds = metrics(f"tls_crl_{name}_update_timestamp_seconds", issuer="CN=Root")
        assert abs(seconds - time.time() - moment.total_seconds()) < 3600
    lines = told(run, "revocation list", 'issuer="CN=Root"')
    assert len(lines) == (1 if words else 0)
    assert all(words in line and f"{both}" in line and "level=warning" in line for line in lines)


def test_what_is_sent_with_the_leaf(serving, tmp_path, root):
    between = Authority(tmp_path / "between", "Between", issuer=root)
    end = 9 * DAYS
    again = root.issue(
        "Between", extensions=AUTHORITY, start=end - 60 * DAYS, end=end, key=between.pair.key)
    pair = between.issue()
    chain = join(tmp_path / "chain.pem", pair.certificate, again.certificate)
    run = serving("-c", chain, "-k", pair.key, tls=False)
    assert scrape(run).nonzero("tls_certificate_lifetime_seconds", "role") == {
        "leaf": 365 * 86400 + 3600, "chain": 60 * 86400}
    [line] = told(run, "certificate expires soon")
    assert f"serial={again.serial}" in line and "role=chain" in line


def test_an_issuer_that_did_not_sign_its_list(serving, tmp_path, root):
    other = Authority(tmp_path / "other", "Root")
    crl = other.revocation_list()
    run = serving("--client-ca", root.certificate, "--client-crl", crl)
    run.wait_for_line(lambda line: f"{crl}: the list of `CN=Root` is not signed by" in line)


@pytest.fixture
def ticket_keys(tmp_path):
    path = tmp_path / "ticket.keys"
    write_keys(path)
    return path


def write_keys(path):
    path.write_bytes(b"".join(base64.b64encode(os.urandom(80)) + b"\n" for _ in range(3)))
    path.chmod(0o600)


@pytest.mark.parametrize(("hours", "isTold"), [(47, False), (49, True)])
def test_ticket_keys_that_nobody_replaces(serving, ticket_keys, hours, isTold):
    written = int(time.time()) - hours * 3600
    os.utime(ticket_keys, (written, written))
    run = serving("--ticket-key-file", ticket_keys)
    assert scrape(run)("tls_ticket_keys_modified_timestamp_seconds") == written
    lines = told(run, "ticket keys are not rotated", f"{ticket_keys}")
    assert len(lines) == (1 if isTold else 0)

"""Clients' certificates: none, of another CA, expired, revoked and right; in a handshake as in a resumption."""

import datetime
import re
import shutil
import signal
import ssl

import pytest

from harness.authority import Authority, join
from harness.metrics import scrape, wait_for_count
from harness.tls import client_context, fetch, versioned

DAYS = datetime.timedelta(days=1)
VERSIONS = ["1.2", "1.3"]

# What a client shows, the reason it is counted under, and the words of the log.
REFUSALS = [
    ("nothing", "client_certificate_missing", "client sent no certificate"),
    ("of another CA", "client_certificate_untrusted", "unable to get local issuer certificate"),
    ("expired", "client_certificate_expired", "certificate has expired"),
    ("not yet valid", "client_certificate_expired", "certificate is not yet valid"),
    ("revoked", "client_certificate_revoked", "certificate revoked"),
    ("for servers only", "client_certificate_refused", "purpose"),
]

EXTENSIONS = "basicConstraints=CA:FALSE\nextendedKeyUsage="


class Clients:
    """An authority, and what clients may show."""

    def __init__(self, directory):
        self.authority = Authority(directory / "clients", "Clients")
        other = Authority(directory / "others", "Others")
        issue = self.authority.issue
        self.shown = {
            "nothing": None,
            "of another CA": other.issue("mallory"),
            "expired": issue("late", start=-9 * DAYS, end=-2 * DAYS),
            "not yet valid": issue("early", start=2 * DAYS, end=9 * DAYS),
            "revoked": issue("revoked"),
            "for servers only": issue("server", extensions=f"{EXTENSIONS}serverAuth\n"),
            "right": issue("alice", extensions=f"{EXTENSIONS}clientAuth\n"),
        }
        self.authority.revoke(self.shown["revoked"])
        self.list = self.authority.revocation_list()


@pytest.fixture(scope="module")
def clients(tmp_path_factory):
    return Clients(tmp_path_factory.mktemp("clients"))


@pytest.fixture
def connect(clients, certificates):
    """Makes a context for what a client shows."""

    def make(shown, version):
        pair = clients.shown[shown]
        files = (pair.certificate, pair.key) if pair else ()
        return versioned(client_context(certificates.ca, *files), version)

    return make


@pytest.fixture
def asking(serving, clients):
    """Starts a run that asks for a certificate of our authority, and knows what is revoked."""

    def start(*arguments, crl=None, **options):
        return serving(
            "--client-ca", clients.authority.certificate, "--client-crl", crl or clients.list,
            "--access-log", "on", *arguments, **options)

    return start


def is_refused(run, context, session=None):
    """True where TLS refuses; by TLS 1.3 a client hears of that only when it reads."""
    try:
        fetch(run, context, session)
    except (ssl.SSLError, ConnectionError):
        return True
    return False


@pytest.mark.parametrize("version", VERSIONS)
def test_each_refusal_has_its_reason(asking, connect, version):
    run = asking("-v")
    for count, (shown, reason, words) in enumerate(REFUSALS, 1):
        before = scrape(run)("tls_handshake_failures_total", reason=reason)
        assert is_refused(run, connect(shown, version)), shown
        wait_for_count(run, "tls_handshake_failures_total", before + 1, reason=reason)
        # Nothing else was counted.
        assert scrape(run)("tls_handshake_failures_total") == count
        run.wait_for_line(lambda line: "TLS failed" in line and words in line)
    response, _, _ = fetch(run, connect("right", version))
    assert response.status == 307
    assert run.wait_for_line("client_cert=").count("CN=alice") == 1
    assert scrape(run)("tls_handshake_failures_total") == len(REFUSALS)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_alert_tells_the_client_why(asking, connect, version):
    run = asking()
    alerts = {
        "nothing": "certificate required" if version == "1.3" else "handshake failure",
        "of another CA": "unknown ca", "expired": "certificate expired",
        "revoked": "certificate revoked",
    }
    for shown, words in alerts.items():
        # By TLS 1.3 the refusal comes after the client is done, and a request is on its way: it is the read that fails.
        with pytest.raises((ssl.SSLError, ConnectionError)) as raised:
            fetch(run, connect(shown, version))
        if isinstance(raised.value, ssl.SSLError):
            assert words in str(raised.value).replace("_", " ").lower()


@pytest.mark.parametrize("version", VERSIONS)
def test_optional_takes_none_but_not_a_wrong_one(asking, connect, version):
    run = asking("--client-verify", "optional")
    assert fetch(run, connect("nothing", version))[0].status == 307
    assert "client_cert=" not in run.wait_for_line("msg=request")
    assert fetch(run, connect("right", version))[0].status == 307
    run.wait_for_line(re.compile(r"client_cert=\S*CN=alice").search)
    for shown in ("of another CA", "expired", "revoked"):
        assert is_refused(run, connect(shown, version)), shown


@pytest.mark.parametrize("version", VERSIONS)
def test_a_resumed_session_keeps_its_subject(asking, connect, version):
    run = asking()
    context = connect("right", version)
    _, session, resumed = fetch(run, context)
    assert not resumed
    _, _, resumed = fetch(run, context, session)
    assert resumed
    run.wait_for_line(lambda _: sum("CN=alice" in line for line in run.lines) == 2)


@pytest.mark.parametrize("version", VERSIONS)
def test_resumption_does_not_skip_a_revocation(asking, clients, connect, version, tmp_path):
    lists = tmp_path / "list.crl"
    shutil.copy(clients.authority.revocation_list(), lists)
    run = asking(crl=lists)
    pair = clients.authority.issue("bob")
    clients.shown["bob"] = pair
    context = connect("bob", version)
    _, session, _ = fetch(run, context)
    assert fetch(run, context, session)[2]
    clients.authority.revoke(pair)
    new = tmp_path / "new.crl"
    shutil.copy(clients.authority.revocation_list(), new)
    new.rename(lists)
    wait_for_count(run, "tls_reloads_total", 1, result="success")
    assert is_refused(run, context, session)
    wait_for_count(
        run, "tls_handshake_failures_total", 1, reason="client_certificate_revoked")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_changed_client_ca_starts_afresh(serving, clients, connect, version, tmp_path):
    authorities = tmp_path / "clients.pem"
    shutil.copy(clients.authority.certificate, authorities)
    run = serving("--client-ca", authorities)
    context = connect("right", version)
    _, session, _ = fetch(run, context)
    assert fetch(run, context, session)[2]
    # The old CA still counts, a new one beside it; a session of before does not go on.
    new = join(
        tmp_path / "new.pem", clients.authority.certificate,
        Authority(tmp_path / "more", "More").certificate)
    new.rename(authorities)
    wait_for_count(run, "tls_reloads_total", 1, result="success")
    response, session, resumed = fetch(run, context, session)
    assert (response.status, resumed) == (307, False)
    assert fetch(run, context, session)[2]
    # The old CA is gone, and so is the client.
    shutil.copy(Authority(tmp_path / "last", "Last").certificate, new)
    new.rename(authorities)
    wait_for_count(run, "tls_reloads_total", 2, result="success")
    assert is_refused(run, context, session)
    wait_for_count(
        run, "tls_handshake_failures_total", 1, reason="client_certificate_untrusted")


def test_depth_counts_intermediates(serving, clients, certificates, tmp_path):
    between = Authority(tmp_path / "between", "Between", issuer=clients.authority)
    pair = between.issue("carol")
    chain = join(tmp_path / "chain.pem", pair.certificate, between.certificate)
    context = client_context(certificates.ca, chain, pair.key)
    ca = ["--client-ca", clients.authority.certificate]
    assert fetch(serving(*ca, "--client-depth", "1"), context)[0].status == 307
    assert is_refused(serving(*ca, "--client-depth", "0"), context)


def test_as_many_names_of_authorities_as_a_handshake_has_room_for(serving, certificates, tmp_path):
    def named(directory: str, parts: int):
        # A part takes 75 bytes.
        return Authority(tmp_path / directory, "Many" + parts * f"/OU={'x' * 64}").certificate

    file = tmp_path / "clients.pem"
    shutil.copy(named("fits", 866), file)
    run = serving("--client-ca", file, "--client-verify", "optional")

    def serves() -> bool:
        contexts = [versioned(certificates.client_context(), version) for version in VERSIONS]
        return all(fetch(run, context)[0].status == 307 for context in contexts)

    assert serves()
    shutil.copy(named("does-not", 868), file)
    run.signal(signal.SIGHUP)
    line = run.wait_for_line("certificates not reloaded")
    assert f"{file}: cannot be used: the names in it take 65" in line
    assert "a handshake has room for 65000" in line
    assert serves()

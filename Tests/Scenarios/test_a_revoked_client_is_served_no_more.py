"""A reload judges who is connected already: a client that was revoked, or whose CA was removed, ends at its next request."""

import contextlib
import shutil
import signal

import pytest

from harness.authority import Authority, join
from harness.http import Connection, ConnectionEnded
from harness.metrics import scrape, wait_for_count
from harness.tls import client_context, versioned

EXTENSIONS = "basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n"
# 50 bytes each: 20 MiB.
MANY = 450_000


@pytest.fixture(scope="module")
def authorities(tmp_path_factory):
    directory = tmp_path_factory.mktemp("authorities")
    return Authority(directory / "staff", "Staff"), Authority(directory / "guests", "Guests")


@pytest.fixture
def files(authorities, tmp_path):
    """The client CAs and the lists, in files that a test may replace."""
    trusted = join(tmp_path / "ca.pem", *(one.certificate for one in authorities))
    lists = join(tmp_path / "crl.pem", *(one.revocation_list() for one in authorities))
    return trusted, lists


@pytest.fixture
def asking(serving, files):
    trusted, lists = files
    return lambda *words: serving(
        "--client-ca", trusted, "--client-crl", lists, "--cert-watch", "off", "--workers", "1", *words)


@pytest.fixture
def join_as(certificates):
    """Connects with a pair, and asks once."""

    def connect(run, pair, version="1.3"):
        context = versioned(client_context(certificates.ca, pair.certificate, pair.key), version)
        connection = Connection(run.port, tls=context, seconds=60)
        assert connection.request("GET", "/v1/first").status == 307
        return connection

    return connect


def reload(run, count: int = 1):
    run.signal(signal.SIGHUP)
    wait_for_count(run, "tls_reloads_total", count, result="success")


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_revoked_one(asking, authorities, files, join_as, version, method):
    staff, guests = authorities
    run = asking()
    pairs = [
        authority.issue(name, extensions=EXTENSIONS)
        for name, authority in (("leaving", staff), ("staying", staff), ("guest", guests))]
    with contextlib.ExitStack() as stack:
        leaving, staying, guest = (
            stack.enter_context(join_as(run, pair, version)) for pair in pairs)
        staff.revoke(pairs[0])
        join(files[1], staff.revocation_list(), guests.revocation_list())
        reload(run)
        # Whole requests behind it get nothing.
        leaving.send(f"{method} /v1/x HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 3)
        response = leaving.response(to_head=method == "HEAD")
        assert (response.status, response["Connection"]) == (403, "close")
        assert leaving.read_to_end() == b""
        leaving.socket.close()
        for one in (staying, guest):
            assert one.request("GET", "/v1/second").status == 307
        assert wait_for_count(run, "connections_active", 3).closed("client_certificate") == 1
        assert scrape(run)("http_requests_total", code="403") == 1


def test_one_whose_authority_was_removed(asking, authorities, files, join_as):
    staff, guests = authorities
    run = asking()
    with join_as(run, staff.issue("staying", extensions=EXTENSIONS)) as staying, \
            join_as(run, guests.issue("guest", extensions=EXTENSIONS)) as guest:
        shutil.copy(staff.certificate, files[0])
        reload(run)
        assert guest.request("GET", "/v1/second").status == 403
        assert staying.request("GET", "/v1/second").status == 307
        # And at the next reload nobody is judged otherwise.
        reload(run, 2)
        assert staying.request("GET", "/v1/third").status == 307


def test_what_cannot_be_taken_judges_nobody(asking, authorities, files, join_as):
    """A list that is none keeps the old one, and keeps back neither certificates nor anybody's request."""
    staff, _ = authorities
    run = asking()
    with join_as(run, staff.issue("staying", extensions=EXTENSIONS)) as staying:
        files[1].write_text("none")
        for count in (1, 2):
            run.signal(signal.SIGHUP)
            metrics = wait_for_count(run, "tls_reloads_total", count, result="failure")
            assert metrics("tls_reload_consecutive_failures") == count
        assert staying.request("GET", "/v1/second").status == 307
        lines = [line for line in run.lines if "certificates not reloaded" in line]
        assert len(lines) == 2 and all(f"{files[1]}: holds no PEM revocation list" in line for line in lines)
        # The certificates were taken all the same.
        run.wait_for_line("certificate reloaded")
        join(files[1], *(one.revocation_list() for one in authorities))
        reload(run)
        assert scrape(run)("tls_reload_consecutive_failures") == 0
        assert staying.request("GET", "/v1/third").status == 307


def test_lists_of_20_mebibytes(asking, files, join_as, tmp_path_factory, certificates):
    staff = Authority(tmp_path_factory.mktemp("many") / "staff", "Staff")
    staff.revoke_many(MANY)
    pairs = [staff.issue(f"staff{number}", extensions=EXTENSIONS) for number in range(2)]
    for path, content in zip(files, (staff.certificate, staff.revocation_list())):
        shutil.copy(content, path)
    assert files[1].stat().st_size > 20 << 20
    run = asking()
    with join_as(run, pairs[0]) as first, join_as(run, pairs[1]) as second:
        staff.revoke(pairs[0])
        shutil.copy(staff.revocation_list(), files[1])
        reload(run)
        assert first.request("GET", "/v1/second").status == 403
        assert second.request("GET", "/v1/second").status == 307
    with join_as(run, pairs[1], "1.2"):
        pass
    # A handshake finds it among all of them too.
    with pytest.raises(OSError):
        join_as(run, pairs[0])
    wait_for_count(
        run, "tls_handshake_failures_total", 1, reason="client_certificate_revoked")


def test_a_long_list_that_nobody_known_has_signed(
    asking, authorities, files, join_as, tmp_path_factory
):
    """It would be hashed in each handshake, for whoever comes: it is said, and keeps no other list back."""
    staff, guests = authorities
    other = Authority(tmp_path_factory.mktemp("strangers") / "other", "Strangers")
    other.revoke_many(MANY // 10)
    stranger = other.revocation_list()
    join(files[1], stranger, staff.revocation_list(), guests.revocation_list())
    run = asking()
    run.wait_for_line(lambda line: f"{files[1]}: the list of `CN=Strangers` is longer than" in line)
    leaving = staff.issue("leaving", extensions=EXTENSIONS)
    with join_as(run, leaving) as connection:
        staff.revoke(leaving)
        join(files[1], stranger, staff.revocation_list(), guests.revocation_list())
        reload(run)
        assert connection.request("GET", "/v1/second").status == 403


def test_one_whose_request_is_held(asking, authorities, files, join_as, vault_that_rests):
    staff, guests = authorities
    pairs = [staff.issue(name, extensions=EXTENSIONS) for name in ("leaving", "staying")]
    run = asking("--hold", "60")
    with join_as(run, pairs[0]) as leaving, join_as(run, pairs[1]) as staying:
        vault_that_rests.status = 429
        run.wait_for_line("to=none")
        for one in (leaving, staying):
            one.send(b"GET /v1/held HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for_count(run, "http_requests_held", 2)
        staff.revoke(pairs[0])
        join(files[1], staff.revocation_list(), guests.revocation_list())
        reload(run)
        vault_that_rests.status = 200
        assert staying.response().status == 307
        assert leaving.response().status == 403
        assert leaving.read_to_end() == b""
        assert wait_for_count(run, "http_requests_held", 0).closed("client_certificate") <= 1


@pytest.fixture
def vault_that_rests(vault):
    yield vault
    vault.status = 200


# What keeps a list of the right name from being asked.
UNASKED = {
    "some reasons": "issuingDistributionPoint=critical,@point\n[point]\nonlysomereasons=keyCompromise\n",
    "another scope": "issuingDistributionPoint=critical,@point\n[point]\nfullname=URI:http://a/crl\n",
}


@pytest.mark.parametrize("how", UNASKED)
def test_an_intermediate_that_is_revoked_by_a_list_that_cannot_be_asked(
    asking, authorities, files, certificates, tmp_path_factory, how
):
    """That no list has anything to say of an intermediate is an excuse; that one cannot be asked is none."""
    staff, _ = authorities
    team = Authority(tmp_path_factory.mktemp("team") / "team", "Team", issuer=staff)
    member = team.issue("member", extensions=EXTENSIONS)
    chain = join(member.certificate.with_suffix(".chain"), member.certificate, team.certificate)
    join(files[1], team.revocation_list())
    run = asking()

    def ask() -> int:
        context = client_context(certificates.ca, chain, member.key)
        with Connection(run.port, tls=context, seconds=60) as connection:
            return connection.request("GET", "/v1/x").status

    assert ask() == 307
    staff.revoke(team.pair)
    join(files[1], team.revocation_list(), staff.revocation_list(extensions=UNASKED[how]))
    reload(run)
    with pytest.raises((OSError, ConnectionEnded)):
        ask()


def test_a_list_that_changes_another(redirector, authorities, certificates):
    crl = authorities[0].revocation_list(extensions="2.5.29.27=critical,ASN1:INTEGER:1\n")
    run = redirector(
        "--vault-addr", "https://127.0.0.1:1", "-c", certificates.chain, "-k", certificates.key,
        "--client-ca", authorities[0].certificate, "--client-crl", crl, listeners=0)
    assert run.process.wait(60) == 78
    run.wait_for_line(lambda line: f"{crl}: cannot be used: the list of `CN=Staff` is a delta" in line)

"""--check-config loads everything, says what is in force and what is wrong, and listens nowhere."""

import datetime
import subprocess

import pytest

from harness.authority import NAMELESS, P256, RSA, Authority, join

CONSUL = "127.0.0.1:8500"
DAYS = datetime.timedelta(days=1)

INTERMEDIATE = [
    "versions: TLS 1.2, TLS 1.3",
    "TLS 1.3 cipher suites: TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, "
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS 1.2 ciphers: ECDHE-ECDSA-AES128-GCM-SHA256, ECDHE-RSA-AES128-GCM-SHA256, "
    "ECDHE-ECDSA-AES256-GCM-SHA384, ECDHE-RSA-AES256-GCM-SHA384, "
    "ECDHE-ECDSA-CHACHA20-POLY1305, ECDHE-RSA-CHACHA20-POLY1305",
]


@pytest.fixture(scope="module")
def check(binary):
    """Runs it, and gives the exit code and the lines it printed."""

    def run(*arguments):
        done = subprocess.run(
            [binary, "--check-config", *map(str, arguments)], stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=60, env={"VAULT_REDIRECTOR_PORT": "1"})
        return done.returncode, (done.stdout + done.stderr).splitlines()

    return run


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    directory = tmp_path_factory.mktemp("check")
    root = Authority(directory / "root")
    return root, Authority(directory / "intermediate", "Intermediate", issuer=root), directory


def tls(certificates):
    return ["-S", "-c", certificates.chain, "-k", certificates.key]


def test_both_types_of_key_and_the_policy_are_shown(check, certificates):
    code, lines = check(
        *tls(certificates), "-c", certificates.rsa_chain, "-k", certificates.rsa_key, CONSUL)
    assert code == 0
    assert lines[:3] == INTERMEDIATE
    # The post-quantum group is there from OpenSSL 3.5 on, and then it is the first.
    groups = lines[3].removeprefix("groups: ").removeprefix("X25519MLKEM768, ")
    assert groups == "X25519, prime256v1, secp384r1"
    assert lines[4].startswith("certificate: ECDSA P-256, CN=localhost, serial ")
    assert lines[5].startswith("certificate: RSA 2048, CN=localhost, serial ")
    assert lines[6:] == ["client certificates: not asked for"]


def test_modern_is_tls_1_3_alone(check, certificates):
    code, lines = check(*tls(certificates), "--tls-policy", "modern", CONSUL)
    assert code == 0
    assert lines[:2] == ["versions: TLS 1.3", INTERMEDIATE[1]]
    assert not any("TLS 1.2" in line for line in lines)
    assert lines == check(*tls(certificates), "--tls-min", "1.3", CONSUL)[1]


def test_ones_own_lists_are_in_force(check, certificates):
    code, lines = check(
        *tls(certificates), "--tls-ciphers", "ECDHE-ECDSA-CHACHA20-POLY1305",
        "--tls-ciphersuites", "TLS_AES_256_GCM_SHA384", "--tls-groups", "P-384", CONSUL)
    assert code == 0
    assert lines[1:4] == [
        "TLS 1.3 cipher suites: TLS_AES_256_GCM_SHA384",
        "TLS 1.2 ciphers: ECDHE-ECDSA-CHACHA20-POLY1305", "groups: P-384"]


def test_a_cipher_that_mozilla_left_out_is_a_warning(check, certificates):
    code, lines = check(
        *tls(certificates), "--tls-ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256:AES128-GCM-SHA256",
        CONSUL)
    assert code == 0
    assert lines[0].startswith("warning: --tls-ciphers: lets in AES128-GCM-SHA256")


@pytest.mark.parametrize(("option", "value", "code"), [
    ("--tls-policy", "old", 64),
    ("--tls-min", "1.1", 64),
    ("--tls-ciphers", "NONSENSE", 78),
    ("--tls-ciphers", "", 78),
    ("--tls-ciphersuites", "TLS_NONSENSE", 78),
    ("--tls-ciphersuites", "", 78),
    ("--tls-groups", "X25519:nonsense", 78),
    ("--tls-groups", "", 78),
    ("--client-verify", "required", 64),
    ("--cert-watch", "sometimes", 64),
])
def test_a_bad_value_is_named(check, binary, certificates, option, value, code):
    # With --check-config any of them is 78; at a start wrong use is told from files that do not fit.
    checked, [line] = check(*tls(certificates), option, value, CONSUL)
    assert checked == 78
    assert line.startswith("error: ") and option in line
    done = subprocess.run(
        [binary, *map(str, tls(certificates)), option, value, "-P", "0", CONSUL],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    assert option in done.stderr and len(done.stderr.splitlines()) == 1


def test_every_warning_names_its_file_and_stops_nothing(check, pki):
    root, intermediate, directory = pki
    good = intermediate.issue()
    expired = intermediate.issue(start=-9 * DAYS, end=-2 * DAYS)
    future = intermediate.issue(start=2 * DAYS, end=9 * DAYS)
    nameless = intermediate.issue(extensions=NAMELESS)
    open_key = intermediate.issue()
    open_key.key.chmod(0o644)
    other = Authority(directory / "other", "Other")
    chain = lambda pair, *more: join(
        directory / f"{pair.certificate.stem}-{len(more)}.pem", pair.certificate, *more)
    between = intermediate.certificate
    findings = {
        chain(good): (good.key, "the issuer of `CN=localhost` is missing, `CN=Intermediate`"),
        chain(good, other.certificate, between): (good.key, "the chain is out of order"),
        chain(expired, between): (expired.key, "`CN=localhost` expired at "),
        chain(future, between): (future.key, "`CN=localhost` is not valid before "),
        chain(nameless, between): (nameless.key, "no subject alternative name"),
    }
    for path, (key, words) in findings.items():
        code, lines = check("-S", "-c", path, "-k", key, CONSUL)
        assert code == 0, lines
        [warning] = [line for line in lines if line.startswith("warning: ")]
        assert warning.startswith(f"warning: {path}: ") and words in warning
    code, lines = check("-S", "-c", chain(open_key, between), "-k", open_key.key, CONSUL)
    assert code == 0
    assert lines[0] == (
        f"warning: {open_key.key}: a secret everyone can reach (mode 0644): chmod 0600")


def test_a_chain_that_fits_gives_no_warning(check, pki):
    _, intermediate, directory = pki
    for kind in (P256, RSA):
        pair = intermediate.issue(kind=kind)
        path = join(directory / "fits.pem", pair.certificate, intermediate.certificate)
        code, lines = check("-S", "-c", path, "-k", pair.key, CONSUL)
        assert code == 0
        assert not any(line.startswith("warning: ") for line in lines)


def test_plain_http_is_said(check):
    assert check(CONSUL) == (0, ["TLS: none, the port speaks plain HTTP"])

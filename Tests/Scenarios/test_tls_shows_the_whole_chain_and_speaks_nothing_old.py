"""As openssl s_client sees it: leaf then intermediate, TLS 1.2 and 1.3, and nothing older."""

import re
import subprocess

import pytest


@pytest.fixture
def s_client(serving, certificates):
    run = serving()

    def connect(*arguments):
        return subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{run.port}", "-servername",
             "localhost", "-CAfile", certificates.ca, "-verify_return_error", *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)

    return connect


@pytest.mark.parametrize(("flag", "name"), [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")])
def test_versions_spoken(s_client, flag, name):
    done = s_client(flag)
    assert done.returncode == 0, done.stderr
    assert f"New, {name}, Cipher is " in done.stdout
    assert "Verify return code: 0 (ok)" in done.stdout


@pytest.mark.parametrize("flag", ["-tls1", "-tls1_1"])
def test_versions_refused(s_client, flag):
    # Without SECLEVEL=0 the client itself would refuse.
    done = s_client(flag, "-cipher", "ALL:@SECLEVEL=0")
    assert done.returncode != 0
    assert "alert protocol version" in done.stderr


def test_the_chain_is_the_file(s_client, certificates):
    shown = re.findall(
        r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", s_client("-showcerts").stdout,
        re.DOTALL)
    assert len(shown) == 2
    assert "\n".join(shown).split() == certificates.chain.read_text().split()


def test_alpn_is_http_1_1_and_nothing_else(s_client):
    assert "ALPN protocol: http/1.1" in s_client("-alpn", "h2,http/1.1").stdout
    assert s_client("-alpn", "h2").returncode != 0


@pytest.mark.parametrize("cipher", ["ECDHE-ECDSA-AES128-SHA", "AES128-GCM-SHA256", "DHE"])
def test_weak_ciphers_are_refused(s_client, cipher):
    assert s_client("-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0").returncode != 0

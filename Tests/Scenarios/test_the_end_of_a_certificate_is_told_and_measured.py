"""A third and a sixth of its lifetime before its end a certificate is a warning, at the start and after a reload; /metrics has its end."""

import calendar
import datetime
import shutil
import signal
import subprocess
import time

import pytest

from harness.authority import RSA, Authority, Pair
from harness.metrics import scrape, wait_for_count

# What is left of 60 days.
LIFETIME = datetime.timedelta(days=60)
LEFT = [
    ("21 days", datetime.timedelta(days=21), None),
    ("19 days", datetime.timedelta(days=19), "certificate expires soon"),
    ("9 days", datetime.timedelta(days=9), "certificate expires soon"),
    ("it is over", datetime.timedelta(hours=-1), "certificate has expired"),
]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ending") / "root")


def seconds_of(pair: Pair, which: str) -> int:
    """`startdate` or `enddate`, as openssl tells it."""
    done = subprocess.run(
        ["openssl", "x509", "-in", pair.certificate, "-noout", f"-{which}"], check=True,
        capture_output=True, text=True)
    text = done.stdout.strip().partition("=")[2]
    return calendar.timegm(time.strptime(text, "%b %d %H:%M:%S %Y GMT"))


def warnings(run, pair):
    return [
        line for line in run.lines
        if f"serial={pair.serial}" in line and '"certificate expires soon"' in line
        or f"serial={pair.serial}" in line and '"certificate has expired"' in line]


@pytest.mark.parametrize(("left", "words"), [row[1:] for row in LEFT], ids=[row[0] for row in LEFT])
def test_at_the_start(serving, authority, left, words):
    pair = authority.issue(start=left - LIFETIME, end=left)
    run = serving("-c", pair.certificate, "-k", pair.key, tls=False)
    metrics = scrape(run)
    for name, which in (("not_after", "enddate"), ("not_before", "startdate")):
        assert metrics(
            f"tls_certificate_{name}_timestamp_seconds", serial=pair.serial, cn="localhost",
            key="ECDSA P-256", role="leaf") == seconds_of(pair, which)
    assert metrics("tls_certificate_lifetime_seconds", serial=pair.serial) == (
        seconds_of(pair, "enddate") - seconds_of(pair, "startdate"))
    if words:
        run.wait_for_line(lambda line: words in line and f"serial={pair.serial}" in line)
    run.stop()
    # After the end of the log nothing can come any more.
    told = warnings(run, pair)
    assert len(told) == (1 if words else 0)
    assert all("level=warning" in line and "CN=localhost" in line for line in told)


def test_after_a_reload_once_for_each_certificate(serving, authority, tmp_path):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    pairs = [authority.issue(kind=RSA, start=left - LIFETIME, end=left) for _, left, _ in LEFT[:3]]

    def install(pair):
        shutil.copy(pair.certificate, certificate)
        shutil.copy(pair.key, key)

    install(pairs[0])
    run = serving("-c", certificate, "-k", key, "--cert-watch", "off", tls=False)
    for count, pair in enumerate([pairs[1], pairs[1], pairs[2]], 1):
        install(pair)
        run.signal(signal.SIGHUP)
        metrics = wait_for_count(run, "tls_reloads_total", count, result="success")
        ends = metrics.nonzero("tls_certificate_not_after_timestamp_seconds", "serial")
        assert ends == {pair.serial: seconds_of(pair, "enddate")}
    run.wait_for_line(lambda line: "expires soon" in line and pairs[2].serial in line)
    assert [len(warnings(run, pair)) for pair in pairs] == [0, 1, 1]


def test_both_pairs_are_measured(serving, authority):
    pairs = [authority.issue(), authority.issue(kind=RSA)]
    words = [word for pair in pairs for word in ("-c", pair.certificate, "-k", pair.key)]
    metrics = scrape(serving(*words, tls=False))
    ends = metrics.nonzero("tls_certificate_not_after_timestamp_seconds", "key")
    assert set(ends) == {"ECDSA P-256", "RSA 2048"}
    assert metrics("tls_last_reload_timestamp_seconds") > 0

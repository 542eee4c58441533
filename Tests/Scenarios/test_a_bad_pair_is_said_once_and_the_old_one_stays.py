"""Files that do not fit are told of once, and tried again when they change; watched or asked for by SIGHUP."""

import os
import pathlib
import shutil
import signal

import pytest

from harness.authority import RSA, Authority, Pair
from harness.metrics import scrape, wait_for_count
from harness.polling import wait_until
from harness.tls import client_context, leaf, leaf_of


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("rotated") / "root")


@pytest.fixture(scope="module")
def context(authority):
    return client_context(authority.certificate)


def replace(path: pathlib.Path, new: pathlib.Path):
    """By a rename: whenever it is looked at, a whole file is there."""
    beside = path.with_suffix(".new")
    shutil.copy(new, beside)
    os.replace(beside, path)


def install(pair: Pair, certificate, key):
    replace(certificate, pair.certificate)
    replace(key, pair.key)


@pytest.fixture
def files(authority, tmp_path):
    """A pair in a directory of its own."""
    (tmp_path / "live").mkdir()
    certificate, key = tmp_path / "live" / "cert.pem", tmp_path / "live" / "key.pem"
    install(authority.issue(), certificate, key)
    return certificate, key


def failures(run):
    return [line for line in run.lines if "certificates not reloaded" in line]


def wait_for_failures(run, count: int) -> list[str]:
    """The lines, which come after the count at /metrics."""
    return wait_until(f"{count} lines", lambda: len(failures(run)) >= count and failures(run))


def test_it_is_told_of_once_and_tried_again_when_it_changes(serving, authority, context, files):
    certificate, key = files
    run = serving("-c", certificate, "-k", key, tls=False)
    old = leaf(run, context)
    new = authority.issue(kind=RSA)
    replace(certificate, new.certificate)
    wait_for_count(run, "tls_reloads_total", 1, result="failure")
    [line] = wait_for_failures(run, 1)
    assert f"{key}: is not the key of the first certificate in {certificate}" in line
    assert "level=error" in line
    # Whatever else happens in the directory has it look, and say nothing.
    for number in range(20):
        (certificate.parent / f"{number}.other").write_text("other")
    assert leaf(run, context) == old
    replace(key, new.key)
    wait_for_count(run, "tls_reloads_total", 1, result="success")
    assert leaf(run, context) == leaf_of(new.certificate)
    # Every line of before that one is there with it.
    run.wait_for_line('msg="certificate reloaded"')
    assert len(failures(run)) == 1
    assert scrape(run)("tls_reloads_total", result="failure") == 1


def test_sighup_says_it_each_time(serving, context, files):
    certificate, key = files
    run = serving("-c", certificate, "-k", key, "--cert-watch", "off", tls=False)
    old = leaf(run, context)
    key.unlink()
    for count in (1, 2):
        run.signal(signal.SIGHUP)
        wait_for_count(run, "tls_reloads_total", count, result="failure")
    told = wait_for_failures(run, 2)
    assert len(told) == 2
    assert all(f"{key}: cannot be read: No such file" in line for line in told)
    assert leaf(run, context) == old


def test_without_a_watch_only_sighup_reloads(serving, authority, context, files):
    certificate, key = files
    run = serving("-c", certificate, "-k", key, "--cert-watch", "off", tls=False)
    old = leaf(run, context)
    new = authority.issue()
    install(new, certificate, key)
    assert leaf(run, context) == old
    run.signal(signal.SIGHUP)
    wait_for_count(run, "tls_reloads_total", 1, result="success")
    assert leaf(run, context) == leaf_of(new.certificate)


def test_a_directory_on_the_way_may_be_a_link_that_is_swapped(
    serving, authority, context, files, tmp_path
):
    (tmp_path / "current").symlink_to("live")
    certificate, key = (tmp_path / "current" / path.name for path in files)
    run = serving("-c", certificate, "-k", key, tls=False)
    (tmp_path / "next").mkdir()
    new = authority.issue()
    install(new, tmp_path / "next" / certificate.name, tmp_path / "next" / key.name)
    (tmp_path / "new").symlink_to("next")
    (tmp_path / "new").rename(tmp_path / "current")
    wait_until("the new leaf", lambda: leaf(run, context) == leaf_of(new.certificate))
    wait_for_count(run, "tls_reloads_total", 1, result="success")


def test_a_reload_tells_old_and_new(serving, authority, context, files):
    certificate, key = files
    run = serving("-c", certificate, "-k", key, tls=False)
    old, new = Pair(certificate, key).serial, authority.issue()
    install(new, certificate, key)
    line = run.wait_for_line('msg="certificate reloaded"')
    assert f"serial={new.serial}" in line and f"old_serial={old}" in line
    assert "expires=" in line and "old_expires=" in line and "CN=localhost" in line

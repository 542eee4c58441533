"""Two processes with one ticket key file resume each other's sessions, through rotations, as HAProxy's rule has it.

Of the file's keys the last three decrypt and the last but one encrypts: a key is known everywhere before it is used.
"""

import base64
import os
import pathlib
import signal
import subprocess

import pytest

from harness.metrics import scrape, wait_for_count
from harness.tls import fetch, versioned

VERSIONS = ["1.2", "1.3"]


class TicketKeys:
    """A file of base64 lines, newest last."""

    def __init__(self, path: pathlib.Path, size: int = 80):
        self.path, self.size = path, size
        self.lines = [self.new() for _ in range(3)]
        self.write()

    def new(self) -> str:
        return base64.b64encode(os.urandom(self.size)).decode()

    def rotate(self):
        self.lines.append(self.new())
        self.write()

    def write(self):
        new = self.path.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text("\n".join(self.lines) + "\n")
        new.rename(self.path)


@pytest.fixture
def contexts(certificates):
    return {version: versioned(certificates.client_context(), version) for version in VERSIONS}


@pytest.mark.parametrize("size", [48, 80])
def test_a_ticket_is_good_for_one_rotation_more(serving, contexts, tmp_path, size):
    keys = TicketKeys(tmp_path / "tickets", size)
    one, two = (serving("--ticket-key-file", keys.path) for _ in range(2))
    rotations = 0

    def rotate():
        nonlocal rotations
        rotations += 1
        keys.rotate()
        for run in (one, two):
            wait_for_count(run, "tls_reloads_total", rotations, result="success")

    for version, context in contexts.items():
        # Made by one, resumed by the other, and back.
        _, first, resumed = fetch(one, context)
        assert not resumed
        _, _, resumed = fetch(two, context, first)
        assert resumed
        rotate()
        # The key encrypts no more but still decrypts, in both.
        for run in (one, two):
            _, renewed, resumed = fetch(run, context, first)
            assert resumed, version
        rotate()
        # Two rotations old: a full handshake, and an answer. The ticket that replaced it goes on.
        assert not fetch(two, context, first)[2]
        assert fetch(two, context, renewed)[2]
    total = sum(scrape(run)("tls_handshakes_total", resumed="true") for run in (one, two))
    assert total == 8


def test_processes_without_a_shared_file_do_not_resume_each_other(serving, contexts):
    one, two = serving(), serving()
    for context in contexts.values():
        _, session, _ = fetch(one, context)
        response, _, resumed = fetch(two, context, session)
        assert (response.status, resumed) == (307, False)
        assert fetch(one, context, session)[2]


def test_a_damaged_key_file_keeps_the_old_keys(serving, contexts, tmp_path):
    keys = TicketKeys(tmp_path / "tickets")
    run = serving("--ticket-key-file", keys.path)
    _, session, _ = fetch(run, contexts["1.2"])
    good = keys.lines
    for count, damaged in enumerate([good[:2], good + ["????"], good + ["QUJD"], []], 1):
        keys.lines = damaged
        keys.write()
        run.signal(signal.SIGHUP)
        run.wait_for_line(lambda _: sum("not reloaded" in line for line in run.lines) >= count)
        assert fetch(run, contexts["1.2"], session)[2]
    assert scrape(run)("tls_reloads_total", result="success") == 0
    # Keys of nobody's: what was made before is of no use any more.
    keys.lines = [keys.new() for _ in range(3)]
    keys.write()
    wait_for_count(run, "tls_reloads_total", 1, result="success")
    response, _, resumed = fetch(run, contexts["1.2"], session)
    assert (response.status, resumed) == (307, False)


@pytest.mark.parametrize(("content", "words"), [
    ("", "is empty"),
    ("{0}\n{1}\n", "holds 2 keys, and 3 are needed"),
    ("{0}\n{1}\nnot base64\n", "line 3: not base64"),
    ("{0}\n{1}\nQUJD\n", "line 3: 3 bytes, and a key has 48 or 80"),
])
def test_a_file_that_is_none_is_refused_at_the_start(binary, certificates, tmp_path, content, words):
    keys = TicketKeys(tmp_path / "tickets")
    keys.path.write_text(content.format(*keys.lines))
    done = subprocess.run(
        [binary, "-S", "-c", certificates.chain, "-k", certificates.key, "-P", "0",
         "--ticket-key-file", keys.path, "127.0.0.1:8500"], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60)
    assert done.returncode == 78
    [line] = done.stderr.splitlines()
    assert f"{keys.path}: {words}" in line
    assert not any(key in line for key in keys.lines)

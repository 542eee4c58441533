"""Few descriptors: what is served goes on, idle connections make room, nothing spins, and it recovers by itself."""

import resource
import subprocess
import time

import pytest

from harness.http import Connection
from harness.metrics import scrape, wait_for_count
from harness.polling import wait_until

HALF = b"GET / HTTP/1.1\r\nHost: x\r\n"


def processor_seconds(run):
    """What the process has used, as /proc/PID/stat tells in ticks of a hundredth."""
    text = open(f"/proc/{run.pid}/stat").read()
    fields = text[text.rindex(")") + 2:].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_ulimit_64(serving, dial, transport):
    run = serving(
        "--head-timeout", "60", prefix=("prlimit", "--nofile=64:64"), tls=transport == "tls")
    first = dial(run, seconds=60)
    assert first.request("GET", "/").status == 307

    # More than there is room for, all of them in the middle of a head: nobody is idle but the first one.
    busy = [Connection(run.port, seconds=60) for _ in range(100)]
    if transport == "plain":
        for connection in busy:
            connection.send(HALF)
    wait_until("accepting to pause", lambda: scarce(run), seconds=60)
    assert run.descriptors() <= 64
    before, began = processor_seconds(run), time.monotonic()
    time.sleep(1)  # Not for an event: to see that nothing is done meanwhile.
    share = (processor_seconds(run) - before) / (time.monotonic() - began)
    assert share < 0.3, "it spins"

    for connection in busy:
        connection.socket.close()
    with dial(run, seconds=60) as new:
        assert new.request("GET", "/").status == 307
    wait_for_count(run, "connections_active", 1)
    assert run.descriptors() < 40
    with dial(run, seconds=60) as new:
        assert new.request("GET", "/").status == 307
    assert run.stop(60) == 0
    first.socket.close()


def scarce(run):
    """Whether there is no place left; the admin listener has some of its own to say so."""
    return scrape(run)("accept_pauses_total") > 0


def test_a_limit_that_falls_while_it_runs(serving, dial, vault):
    run = serving("--head-timeout", "60", tls=False)
    kept = dial(run, seconds=60)
    kept.send(HALF)
    idle = [dial(run, seconds=60) for _ in range(4)]
    for connection in idle:
        assert connection.request("GET", "/").status == 307
    soft, hard = resource.prlimit(run.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(run.pid, resource.RLIMIT_NOFILE, (run.descriptors(), hard))

    # Each new one is served in the place of an idle one.
    new = [dial(run, seconds=60) for _ in range(3)]
    for connection in new:
        assert connection.request("GET", "/").status == 307
    # With none idle any more, they wait.
    for connection in new:
        connection.send(HALF)
    late = [dial(run, seconds=60) for _ in range(5)]
    run.wait_for_line("cannot accept connections; raise LimitNOFILE", seconds=60)
    kept.send(b"\r\n")
    assert kept.response().status == 307

    resource.prlimit(run.pid, resource.RLIMIT_NOFILE, (soft, hard))
    for connection in late:
        assert connection.request("GET", "/").status == 307
    assert scrape(run)("accept_errors_total") > 0
    for connection in (kept, *idle, *new, *late):
        connection.socket.close()
    wait_for_count(run, "connections_active", 1)


WORDS = ("--bind", "127.0.0.1", "--workers", "4", "--vault-addr", "https://127.0.0.1:1")


@pytest.mark.parametrize("limit", [8, 20, 31])
def test_too_few_to_start_is_one_line_and_an_exit_code(binary, limit):
    done = subprocess.run(
        ["prlimit", f"--nofile={limit}:{limit}", binary, *WORDS, "-P", "0"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 71
    [line] = done.stderr.splitlines()
    assert "RLIMIT_NOFILE" in line and "raise it to 32" in line


def test_just_enough_to_start_serves(redirector, dial):
    run = redirector(*WORDS, prefix=("prlimit", "--nofile=32:32"))
    for _ in range(20):
        with dial(run, seconds=60) as connection:
            assert connection.request("GET", "/").status == 503

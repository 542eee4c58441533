"""Without --max-connections: half of the memory, whoever limits it, at what a connection takes at the worst; with it, a warning."""

import pathlib
import re
import shutil
import ssl
import subprocess

import pytest

from harness.http import Connection
from harness.metrics import scrape
from harness.polling import wait_until

NODE = ("--vault-addr", "https://127.0.0.1:1")
HALF = b"GET / HTTP/1.1\r\nHost: x\r\n"
MIB = 1 << 20
STACK = 8 * MIB


def limit_of(run) -> tuple[int, str, int]:
    """Connections, where the number is from, and the bytes of each, as it says at the start."""
    line = run.wait_for_line("connections are limited")
    find = lambda name: re.search(rf'\b{name}=("[^"]*"|\S+)', line)[1].strip('"')
    return int(find("connections")), find("from"), int(find("bytes_each"))


def fits(connections: int, each: int, size: int) -> bool:
    """They take half of what a limit of the process leaves beside the stacks of six threads and what is mapped at the start."""
    return size - 256 * MIB < 2 * connections * each < size - 6 * STACK


@pytest.mark.parametrize(("option", "name"), [("--data", "RLIMIT_DATA"), ("--as", "RLIMIT_AS")])
def test_its_own_limits(redirector, option, name):
    size = 1024 * MIB
    run = redirector(
        *NODE, "--workers", "3", prefix=("prlimit", f"--stack={STACK}:{STACK}", f"{option}={size}:{size}"))
    connections, source, each = limit_of(run)
    assert source == name and fits(connections, each, size)


@pytest.mark.parametrize(("option", "size"), [("--as", 100), ("--as", 160), ("--data", 64), ("--data", 100)])
def test_greedy_clients_in_every_place_end_nothing(serving, certificates, option, size):
    """They take no answers, and have the next heads almost whole: malloc must not fail, which would end the process."""
    run = serving(
        "--workers", "2", "--head-timeout", "600", "--write-timeout", "600",
        prefix=("prlimit", f"--stack={STACK}:{STACK}", f"{option}={size * MIB}"))
    context = certificates.client_context()
    whole = b"GET /" + b"a" * 16000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    half = b"GET /" + b"a" * 16000 + b" HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 15800
    clients = [Connection(run.port, tls=context, seconds=60) for _ in range(limit_of(run)[0])]
    for client in clients:
        client.socket.setblocking(False)
        for part in [whole] * 80 + [half] * 3:
            try:
                client.socket.send(part)
            except (ssl.SSLWantWriteError, BlockingIOError):
                pass
    for client in clients:
        client.socket.close()
    assert Connection(run.port, tls=context, seconds=60).request("GET", "/v1/x").status == 307
    assert run.stop() == 0


def test_the_limit_is_in_force(redirector):
    size = 80 * MIB
    run = redirector(
        *NODE, "--bind", "127.0.0.1", "--admin", "127.0.0.1:0", "--head-timeout", "600", "--workers", "1",
        prefix=("prlimit", f"--data={size}:{size}"), listeners=2)
    connections, _, each = limit_of(run)
    assert connections <= max(64, size // 2 // each)
    busy = [Connection(run.port, seconds=60) for _ in range(connections + 10)]
    for connection in busy:
        connection.send(HALF)
    wait_until("the limit", lambda: scrape(run)("accept_pauses_total") > 0)
    # The scrape has a place of its own.
    assert scrape(run)("connections_active") == connections + 1
    # Whoever waits is served when somebody goes.
    for connection in busy:
        connection.send(b"\r\n")
        assert connection.response().status == 503
        connection.socket.close()


@pytest.mark.parametrize("more", [(), ("--max-head", "262144"), ("--max-request-line", "65536")])
def test_what_each_may_take_counts(redirector, more):
    size = 1024 * MIB
    prefix = ("prlimit", f"--stack={STACK}:{STACK}", f"--data={size}:{size}")
    run = redirector(*NODE, "--workers", "3", *more, prefix=prefix)
    connections, _, each = limit_of(run)
    grown = {(): 0, ("--max-head", "262144"): 262144 - 32768, ("--max-request-line", "65536"): 49152}[more]
    assert each == (368 << 10) + grown and fits(connections, each, size)


@pytest.fixture
def in_a_group(tmp_path):
    """Begins a command line that is shown /sys/fs/cgroup with that in the memory.max of its own group."""
    line = re.search("^0::(.*)$", pathlib.Path("/proc/self/cgroup").read_text(), re.MULTILINE)
    tried = shutil.which("bwrap") and subprocess.run(
        ["bwrap", "--bind", "/", "/", "true"], capture_output=True).returncode == 0
    if not line or not tried:
        pytest.skip("needs bubblewrap, and to be in a control group of version 2")
    group = tmp_path / "cgroup" / line[1].strip("/")
    group.mkdir(parents=True)

    def prefix(text: str) -> tuple[str, ...]:
        (group / "memory.max").write_text(text)
        return ("bwrap", "--bind", "/", "/", "--die-with-parent", "--dev-bind", "/dev", "/dev",
                "--ro-bind", str(tmp_path / "cgroup"), "/sys/fs/cgroup")

    return prefix


@pytest.mark.parametrize(("text", "connections"), [
    (f"{1024 * MIB}\n", 1024 * MIB // 2 // (368 << 10)),
    ("4096\n", 64),  # Absurd: as few as make sense.
    ("0\n", 64),
])
def test_a_control_group(redirector, in_a_group, text, connections):
    run = redirector(*NODE, prefix=in_a_group(text))
    number, source, _ = limit_of(run)
    assert source.startswith("/sys/fs/cgroup/") and source.endswith("memory.max")
    assert number == connections


@pytest.mark.parametrize("text", ["max\n", "", "99999999999999999999\n", f"{2**63}\n"])
def test_a_control_group_that_limits_nothing(redirector, in_a_group, text):
    run = redirector(*NODE, prefix=in_a_group(text))
    assert "cgroup" not in limit_of(run)[1]


WARNING = "--max-connections: 100 connections, each at its worst, take more than half of the memory"


def test_more_than_fit_are_a_warning(redirector, binary):
    prefix = ("prlimit", f"--data={64 * MIB}:{64 * MIB}")
    run = redirector(*NODE, "--max-connections", "100", prefix=prefix)
    line = run.wait_for_line(WARNING)
    assert "level=warning" in line and f"64 fit, at {368 << 10} bytes each" in line
    assert limit_of(run)[:2] == (100, "--max-connections")
    done = subprocess.run(
        [*prefix, binary, *NODE, "--max-connections", "100", "--check-config"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith(f"warning: {WARNING}")


def test_as_many_as_fit_are_none(redirector):
    run = redirector(
        *NODE, "--max-connections", "64", prefix=("prlimit", f"--data={64 * MIB}:{64 * MIB}"))
    assert limit_of(run)[:2] == (64, "--max-connections")
    assert run.stop() == 0
    assert not any("max-connections: " in line for line in run.lines)

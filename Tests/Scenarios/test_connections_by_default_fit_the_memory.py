"""Without --max-connections: half of the memory, whoever limits it, at what a connection takes at the worst; with it, a warning."""

import pathlib
import re
import shutil
import subprocess

import pytest

from harness.http import Connection
from harness.metrics import scrape
from harness.polling import wait_until

NODE = ("--vault-addr", "https://127.0.0.1:1")
HALF = b"GET / HTTP/1.1\r\nHost: x\r\n"
MIB = 1 << 20


def limit_of(run) -> tuple[int, str, int]:
    """Connections, where the number is from, and the bytes of each, as it says at the start."""
    line = run.wait_for_line("connections are limited")
    find = lambda name: re.search(rf'\b{name}=("[^"]*"|\S+)', line)[1].strip('"')
    return int(find("connections")), find("from"), int(find("bytes_each"))


@pytest.mark.parametrize(("option", "name"), [("--data", "RLIMIT_DATA"), ("--as", "RLIMIT_AS")])
def test_its_own_limits(redirector, option, name):
    size = 1024 * MIB
    run = redirector(*NODE, prefix=("prlimit", f"{option}={size}:{size}"))
    connections, source, each = limit_of(run)
    assert (source, connections) == (name, size // 2 // each)


def test_the_limit_is_in_force(redirector):
    size = 80 * MIB
    run = redirector(
        *NODE, "--bind", "127.0.0.1", "--admin", "127.0.0.1:0", "--head-timeout", "600", "--workers", "1",
        prefix=("prlimit", f"--data={size}:{size}"), listeners=2)
    connections, _, each = limit_of(run)
    assert connections == size // 2 // each
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
    run = redirector(*NODE, *more, prefix=("prlimit", f"--data={size}:{size}"))
    connections, _, each = limit_of(run)
    grown = {(): 0, ("--max-head", "262144"): 262144 - 32768, ("--max-request-line", "65536"): 49152}[more]
    assert each == (368 << 10) + grown and connections == size // 2 // each


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
    assert "level=warning" in line and f"{32 * MIB // (368 << 10)} fit, at {368 << 10} bytes each" in line
    assert limit_of(run)[:2] == (100, "--max-connections")
    done = subprocess.run(
        [*prefix, binary, *NODE, "--max-connections", "100", "--check-config"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith(f"warning: {WARNING}")


def test_as_many_as_fit_are_none(redirector):
    run = redirector(
        *NODE, "--max-connections", "80", prefix=("prlimit", f"--data={64 * MIB}:{64 * MIB}"))
    assert limit_of(run)[:2] == (80, "--max-connections")
    assert run.stop() == 0
    assert not any("max-connections: " in line for line in run.lines)

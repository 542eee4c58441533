"""How many connections wait to be accepted: as many as the kernel permits, or --backlog."""

import pathlib
import shutil
import subprocess

import pytest

SOMAXCONN = int(pathlib.Path("/proc/sys/net/core/somaxconn").read_text())


def backlogs(run) -> list[int]:
    """Of each listener, as ss has it: a listening socket's Send-Q."""
    found = []
    for listener in run.listeners:
        text = subprocess.run(
            ["ss", "-Hltn", f"sport = :{listener.port}"], stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=True, timeout=60).stdout
        found += [int(line.split()[2]) for line in text.splitlines()]
    return found


@pytest.mark.skipif(not shutil.which("ss"), reason="no ss")
@pytest.mark.parametrize(("arguments", "backlog"), [
    ([], SOMAXCONN),
    (["--backlog", "5"], min(5, SOMAXCONN)),
    (["--backlog", "1"], 1),
    (["--backlog", "65535"], min(65535, SOMAXCONN)),
])
def test_of_every_address(redirector, arguments, backlog):
    run = redirector(
        "--bind", "127.0.0.1", "--bind", "::1", "--vault-addr", "https://127.0.0.1:1", *arguments,
        listeners=2)
    assert backlogs(run) == [backlog, backlog]

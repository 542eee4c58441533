"""Not dumpable: another process of its user reads neither its memory nor its environment, and it works as before."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import pytest

from harness.http import Connection
from harness.metrics import wait_for_count
from harness.polling import wait_until
from harness.redirector import Redirector

NOBODY = 65534
SECRET = "hvs.not-for-other-processes"
READ = 'for name in "$@"; do head -c 1 "$name" >/dev/null 2>&1 && echo "$name"; done; ls "$0" 2>/dev/null'

AS_NOBODY = (
    ("setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups")
    if os.geteuid() == 0 else ())


@pytest.fixture
def open_to_all():
    """A directory that nobody's processes reach, which pytest's are not."""
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder).chmod(0o755)
        yield pathlib.Path(folder)


def readable(pid: int) -> list[str]:
    """What another process of the same user, which has no privileges, can read of that one."""
    files = [f"/proc/{pid}/{name}" for name in ("environ", "mem", "maps", "smaps_rollup", "auxv", "stat")]
    done = subprocess.run(
        [*AS_NOBODY, "sh", "-c", READ, f"/proc/{pid}/fd", *files], capture_output=True, text=True)
    return [path.removeprefix(f"/proc/{pid}/") for path in done.stdout.split()]


def test_nothing_is_to_be_seen(binary, certificates, vault, open_to_all):
    program = shutil.copy(binary, open_to_all)
    for path in (certificates.chain, certificates.key, certificates.ca):
        copy = pathlib.Path(shutil.copy(path, open_to_all))
        if AS_NOBODY:
            os.chown(copy, NOBODY, NOBODY)
    run = Redirector(
        "--bind", "127.0.0.1", "--admin", "127.0.0.1:0", "-c", open_to_all / "chain.pem", "-k",
        open_to_all / "key.pem", "--vault-addr", vault.origin, "--vault-cacert", open_to_all / "ca.pem",
        binary=program, log=open_to_all / "log", listeners=2, prefix=AS_NOBODY,
        environment={"VAULT_TOKEN": SECRET})
    with contextlib.ExitStack() as stack:
        stack.callback(run.kill)
        run.wait_for_line("active vault node changed")
        assert readable(run.pid) == ["stat"]

        # What it reads of itself, and all else, goes on: a control group, a reload, a connection, its end.
        assert any("connections are limited" in line for line in run.lines)
        run.signal(signal.SIGHUP)
        wait_for_count(run, "tls_reloads_total", 1, result="success")
        with Connection(run.port, tls=certificates.client_context(), seconds=60) as connection:
            assert connection.request("GET", "/v1/x").status == 307
        assert run.stop(60) == 0


def test_others_of_that_user_can_be_looked_into():
    """Else the test above shows nothing."""
    other = subprocess.Popen([*AS_NOBODY, "sleep", "600"], stdin=subprocess.DEVNULL)
    try:
        name = pathlib.Path(f"/proc/{other.pid}/comm")
        wait_until("it to be sleep(1)", lambda: name.read_text() == "sleep\n")
        # And mem, but for where Yama permits that to parents alone (ptrace_scope).
        assert {"environ", "maps", "auxv", "0"} <= set(readable(other.pid))
    finally:
        other.kill()
        other.wait()

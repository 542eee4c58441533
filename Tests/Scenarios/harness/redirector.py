"""The real binary as a subprocess: its ports, its log lines, its memory, its exit code."""

import contextlib
import dataclasses
import os
import pathlib
import re
import shlex
import signal
import subprocess
from collections.abc import Callable

import pytest

from .polling import wait_until

LISTENING = re.compile(
    r"\bmsg=listening\b.*\baddress=(\S+):(\d+)\b.*\blistener=(\w+)\b.*\btransport=(\w+)")


@dataclasses.dataclass(frozen=True)
class Listener:
    address: str
    port: int
    name: str
    transport: str


@contextlib.contextmanager
def for_root():
    """What is refused in here is for root alone: the test is skipped, and says so."""
    try:
        yield
    except PermissionError as error:
        if os.geteuid() == 0:
            raise
        pytest.skip(f"{error}: the program is not dumpable; run the tests as root to measure it")


class Redirector:
    """One run of the binary, with `-v`, `-P 0` unless `arguments` or `environment` name a port, and `--hold 0` unless they name
    that or it `holds` as by default: what there is to say is said at once.

    Its standard error goes to the file `log`. `listeners` says for how many to wait before the
    constructor returns; 0 for a run that is to fail.

    It is not dumpable, so that fd, maps, mem and smaps_rollup under its /proc/PID are for root alone (CAP_SYS_PTRACE): tests
    that look there are skipped where they run as anybody else. stat, status, task and net stay open to its own user.
    """

    def __init__(
        self, *arguments: object, binary: str, log: pathlib.Path,
        environment: dict[str, str] | None = None, listeners: int = 1, prefix: tuple[str, ...] = (),
        port_from_environment: bool = False, holds: bool = False,
    ):
        words = [str(argument) for argument in arguments]
        if not port_from_environment and not {"-P", "--port"} & set(words):
            words = ["-P", "0", *words]
        if not holds and "--hold" not in words and "VAULT_REDIRECTOR_HOLD" not in (environment or {}):
            words = ["--hold", "0", *words]
        self.log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [*prefix, binary, "-v", *words], env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL, stderr=file, start_new_session=True,
            )
        self.pid = self.process.pid
        try:
            self._wait(lambda: len(self.listeners) >= listeners, f"{listeners} × msg=listening", 60)
        except BaseException:
            self.kill()
            raise

    @property
    def lines(self) -> list[str]:
        """What it logged so far, in whole lines."""
        text = self.log.read_text(errors="backslashreplace")
        return text[: text.rfind("\n") + 1].splitlines()

    @property
    def listeners(self) -> list[Listener]:
        """The listeners it said it has, in its order."""
        found = [match.groups() for match in map(LISTENING.search, self.lines) if match]
        return [
            Listener(host.strip('"[]'), int(port), name, how) for host, port, name, how in found]

    @property
    def port(self) -> int:
        """The first listener's port."""
        return self.listeners[0].port

    @property
    def admin_port(self) -> int:
        """The port of /metrics, of a run with `--admin`."""
        return next(listener.port for listener in self.listeners if listener.name == "admin")

    def wait_for_line(
        self, predicate: str | Callable[[str], bool], seconds: float = 60, after: int = 0
    ) -> str:
        """The first log line, from index `after` on, that contains the text or satisfies the predicate."""
        matches = predicate if callable(predicate) else lambda line: predicate in line
        find = lambda: next(filter(matches, self.lines[after:]), None)
        return self._wait(find, "such a line", seconds)

    def signal(self, number: int):
        self.process.send_signal(number)

    def wait(self, seconds: float = 60) -> int:
        """The exit code, once it has ended of itself."""
        return self.process.wait(seconds)

    def stop(self, seconds: float = 60) -> int:
        """SIGTERM, and the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.wait()

    def memory(self) -> dict[str, int]:
        """Bytes by the kernel's names, such as `Rss`, `Anonymous` and `Private_Dirty`."""
        with for_root():
            rollup = pathlib.Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return {name: int(kib) * 1024 for name, kib in re.findall(r"(\w+): +(\d+) kB", rollup)}

    def descriptors(self) -> int:
        """How many file descriptors it has open."""
        with for_root():
            return len(os.listdir(f"/proc/{self.pid}/fd"))

    def connections(self) -> int:
        """How many of its clients' IPv4 connections the kernel has, those that are half closed with them."""
        ports = {f"{listener.port:04X}" for listener in self.listeners}
        rows = pathlib.Path(f"/proc/{self.pid}/net/tcp").read_text().splitlines()[1:]
        fields = [row.split() for row in rows]
        established, close_wait = "01", "08"
        return sum(
            field[1].split(":")[1] in ports and field[3] in (established, close_wait)
            for field in fields)

    def threads(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def command_line(self) -> str:
        return shlex.join(self.process.args)

    def _wait(self, probe: Callable, what: str, seconds: float):
        def probe_while_it_runs():
            ended = self.process.poll() is not None
            result = probe()
            if ended and not result:
                raise AssertionError(f"it exited {self.process.returncode}")
            return result

        try:
            return wait_until(what, probe_while_it_runs, seconds)
        except (AssertionError, TimeoutError) as error:
            raise AssertionError("\n".join([f"no {what}: {error}", *self.lines])) from None

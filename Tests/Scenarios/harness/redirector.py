"""The real binary as a subprocess: its ports, its log lines, its memory, its exit code."""

import dataclasses
import os
import pathlib
import re
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable

LISTENING = re.compile(r"\bmsg=listening\b.*\baddress=(\S+):(\d+)\b.*\btransport=(\w+)")


@dataclasses.dataclass(frozen=True)
class Listener:
    address: str
    port: int
    transport: str


class Redirector:
    """One run of the binary, with `-v` and `-P 0` unless `arguments` name a port.

    `listeners` says for how many to wait before the constructor returns; 0 for a run that is to fail.
    """

    def __init__(
        self, *arguments: object, binary: str, environment: dict[str, str] | None = None,
        listeners: int = 1, prefix: tuple[str, ...] = (), new_session: bool = False,
    ):
        words = [str(argument) for argument in arguments]
        if not {"-P", "--port"} & set(words):
            words = ["-P", "0", *words]
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self.process = subprocess.Popen(
            [*prefix, binary, "-v", *words], env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=new_session,
        )
        self.pid = self.process.pid
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()
        self.listeners: list[Listener] = []
        try:
            while len(self.listeners) < listeners:
                line = self.wait_for_line(self._is_listening, after=self._lines_of_listeners())
                address, port, transport = LISTENING.search(line).groups()
                self.listeners.append(Listener(address.strip("[]"), int(port), transport))
        except BaseException:
            self.kill()
            raise

    @property
    def port(self) -> int:
        """The first listener's port."""
        return self.listeners[0].port

    def wait_for_line(
        self, predicate: str | Callable[[str], bool], seconds: float = 10, after: int = 0
    ) -> str:
        """The first log line, from index `after` on, that contains the text or satisfies the predicate."""
        matches = predicate if callable(predicate) else lambda line: predicate in line
        end = time.monotonic() + seconds
        with self._changed:
            at = after
            while True:
                for line in self.lines[at:]:
                    if matches(line):
                        return line
                at = len(self.lines)
                if self._ended or not self._changed.wait(end - time.monotonic()):
                    if at == len(self.lines):
                        raise AssertionError("no such line in the log:\n" + "\n".join(self.lines))

    def signal(self, number: int):
        self.process.send_signal(number)

    def wait(self, seconds: float = 10) -> int:
        """The exit code, once it has ended of itself and its log was read to the end."""
        code = self.process.wait(seconds)
        self._reader.join(seconds)
        return code

    def stop(self, seconds: float = 10) -> int:
        """SIGTERM, and the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.wait()

    def memory(self) -> dict[str, int]:
        """Bytes by the kernel's names, such as `Rss`, `Anonymous` and `Private_Dirty`."""
        rollup = pathlib.Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return {name: int(kib) * 1024 for name, kib in re.findall(r"(\w+): +(\d+) kB", rollup)}

    def descriptors(self) -> int:
        """How many file descriptors it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def threads(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def command_line(self) -> str:
        return shlex.join(self.process.args)

    def _collect(self):
        for raw in self.process.stderr:
            with self._changed:
                self.lines.append(raw.decode(errors="backslashreplace").rstrip("\n"))
                self._changed.notify_all()
        self.process.stderr.close()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _is_listening(self, line: str) -> bool:
        return LISTENING.search(line) is not None

    def _lines_of_listeners(self) -> int:
        """The index after the last `listening` line that was taken."""
        if not self.listeners:
            return 0
        taken = 0
        for index, line in enumerate(self.lines):
            taken += self._is_listening(line)
            if taken == len(self.listeners):
                return index + 1
        return len(self.lines)

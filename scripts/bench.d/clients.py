"""The clients: wrk, and the C programs of this folder; all of them on the client's core."""

import json
import pathlib
import subprocess

import servers

HEADERS = {
    "Host": "localhost", "User-Agent": "bench", "X-Vault-Request": "true",
    "X-Vault-Token": "s.0123456789abcdef01234567",
}
MARGIN = 60  # seconds that a client may take beyond what it was asked for


class Load:
    """load.c, with its connections open; `round` asks. Opening one takes about 1 ms."""

    def __init__(self, clients: "Clients", port: int, connections: int, busy: int):
        self._process = subprocess.Popen(
            [clients.program("load"), str(port), clients.request, str(connections), str(busy)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> "Load":
        try:
            self.failed = self._read()["failed"]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.communicate()

    def round(self, seconds: float, rate: float = 0) -> dict[str, float]:
        """As many requests as are answered, or `rate` a second; latencies in µs."""
        self.begin(seconds, rate)
        return self.end()

    def begin(self, seconds: float, rate: float):
        self._process.stdin.write(f"{seconds} {rate}\n")
        self._process.stdin.flush()

    def end(self) -> dict[str, float]:
        return self._read()

    def _read(self) -> dict[str, float]:
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("load.c ended early; it says why above")
        return json.loads(line)


class Clients:
    def __init__(self, scratch: pathlib.Path):
        self._scratch = scratch
        self.request, self._last_request = scratch / "request", scratch / "last-request"
        fields = (f"{name}: {value}" for name, value in HEADERS.items())
        lines = [f"GET {servers.TARGET} HTTP/1.1", *fields]
        self.request.write_bytes("\r\n".join([*lines, "", ""]).encode())
        lines.append("Connection: close")
        self._last_request.write_bytes("\r\n".join([*lines, "", ""]).encode())
        for program in ("floor", "connect", "load", "probe"):
            source = servers.HERE / f"{program}.c"
            command = ["gcc", "-O2", "-o", scratch / program, source, "-lssl", "-lcrypto", "-lm"]
            subprocess.run(command, check=True)

    def program(self, name: str) -> pathlib.Path:
        return self._scratch / name

    def wrk(
        self, scheme: str, port: int, connections: int, seconds: float,
        cores: list[int] | None = None,
    ) -> dict[str, int]:
        """Connections that stay, and ask again when answered; a thread for each of `cores`."""
        pinned = ["taskset", "-c", ",".join(map(str, cores))] if cores else []
        command = [
            *pinned, "wrk", f"-t{len(cores or [0])}", f"-c{connections}",
            f"-d{max(1, round(seconds))}"]
        for name, value in HEADERS.items():
            command += ["-H", f"{name}: {value}"]
        url = f"{scheme}://127.0.0.1:{port}{servers.TARGET}"
        return self._run([*command, "-s", servers.HERE / "count.lua", url], seconds)

    def connect(
        self, port: int, kind: str, version: str, concurrency: int, seconds: float,
    ) -> dict[str, int]:
        """A connection for each request: `new` ones, or `resumed` ones."""
        command = [
            self.program("connect"), str(port), self._last_request, kind, version,
            str(concurrency), str(seconds)]
        return self._run(command, seconds)

    def load(self, port: int, connections: int, busy: int) -> Load:
        return Load(self, port, connections, busy)

    @staticmethod
    def _run(command: list, seconds: float) -> dict[str, int]:
        done = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, timeout=seconds + MARGIN)
        return json.loads(done.stdout.strip().splitlines()[-1])

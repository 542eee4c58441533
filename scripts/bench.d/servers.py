"""The servers that are compared: each answers 307 to one place, on a plain and on a TLS port."""

import contextlib
import dataclasses
import http.server
import os
import pathlib
import re
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator

from harness.certs import Certificates
from harness.http import Connection
from harness.polling import wait_until
from harness.ports import Port

HERE = pathlib.Path(__file__).parent
TARGET = "/v1/secret/data/bench?version=3"


class StandInNode:
    """An active node for the redirector to find: TLS, and 200 for `/v1/sys/health`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # As Vault: one connection, and not a handshake each tenth of a second.
        wbufsize = -1  # One write for the whole answer, which waits for no acknowledgement.
        disable_nagle_algorithm = True

        def do_GET(self):
            body = b'{"initialized":true,"sealed":false,"standby":false}'
            self.send_response(200 if self.path.startswith("/v1/sys/health") else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    def __init__(self, certificates: Certificates):
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.chain, certificates.key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.address = f"https://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()


@dataclasses.dataclass(frozen=True)
class Setting:
    """What all servers of a scenario share."""

    scratch: pathlib.Path
    certificates: Certificates
    target: str  # the active node's address
    cores: tuple[int, ...]
    key_type: str = "ecdsa"
    workers: int = 1
    tls_only: bool = False  # no second process for the plain port
    consul: str = ""  # for ours, in place of asking the node itself
    standbys: tuple[str, ...] = ()  # for ours, nodes to ask beside that one

    @property
    def chain(self) -> pathlib.Path:
        return self.certificates.rsa_chain if self.key_type == "rsa" else self.certificates.chain

    @property
    def key(self) -> pathlib.Path:
        return self.certificates.rsa_key if self.key_type == "rsa" else self.certificates.key


class Server:
    """One server, pinned to cores: one process for both ports, or one for each of them."""

    name = ""
    environment: dict[str, str] = {}

    def __init__(self, setting: Setting):
        self.setting = setting
        kind = f"{setting.key_type}-{setting.workers}"
        self.directory = setting.scratch / f"{self.name}-{kind}"
        self.directory.mkdir(exist_ok=True)
        self.processes: list[subprocess.Popen] = []
        self._ports = Port(), Port()
        self.plain_port, self.tls_port = (port.number for port in self._ports)

    def commands(self) -> list[list[object]]:
        """What to run; the last one listens on the TLS port."""
        raise NotImplementedError

    @contextlib.contextmanager
    def prepared(self) -> Iterator[None]:
        """What its processes need around them, while the block runs; they are not started here."""
        yield

    def __enter__(self) -> "Server":
        self._needs = self.prepared()
        self._needs.__enter__()
        try:
            for command in self.commands():
                self._start(command)
            for tls in (True,) if self.setting.tls_only else (False, True):
                wait_until(f"{self.name} to answer right", lambda: self._answers(tls), 20)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.processes.clear()
        self._needs.__exit__(None, None, None)

    def surroundings(self) -> dict[str, str]:
        return {**os.environ, **self.environment}

    def _start(self, command: list[object]):
        cores = ",".join(map(str, self.setting.cores))
        # setpriv: it ends with this process, whatever ended that.
        pinned = ["setpriv", "--pdeathsig", "TERM", "taskset", "-c", cores, *map(str, command)]
        with (self.directory / "log").open("ab") as log:
            self.processes.append(subprocess.Popen(
                pinned, env=self.surroundings(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True))

    def fill(self, template: str, **values: object) -> pathlib.Path:
        path = self.directory / template
        path.write_text((HERE / template).read_text().format(
            directory=self.directory, target=self.setting.target, workers=self.setting.workers,
            plain_port=self.plain_port, tls_port=self.tls_port, **values))
        return path

    def pids(self) -> list[int]:
        found = [process.pid for process in self.processes]
        for pid in found:
            for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                found.extend(map(int, children.read_text().split()))
        return found

    def cpu_ns(self) -> int:
        """Nanoseconds that its processes were scheduled.

        The kernel's CPU clock of a process, by the id that clock_getcpuclockid(3) makes of its pid:
        the sum of the first fields of /proc/PID/task/*/schedstat, and of the threads that ended.
        """
        return sum(time.clock_gettime_ns((~pid << 3) | 2) for pid in self.pids())

    def descriptors(self) -> int:
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.pids())

    def memory(self, kind: str = "Pss") -> int:
        """Bytes: `Pss` counts shared ones in proportion, `Rss` in each process."""
        pattern = re.compile(rf"^{kind}: +(\d+) kB", re.MULTILINE)
        return sum(
            int(pattern.search(pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text())[1]) * 1024
            for pid in self.pids())

    def _answers(self, tls: bool) -> bool:
        for process in self.processes:
            if process.poll() is not None:
                raise RuntimeError(f"{self.name} ended: {(self.directory / 'log').read_text()}")
        port = self.tls_port if tls else self.plain_port
        context = self.setting.certificates.client_context() if tls else None
        with contextlib.suppress(ConnectionRefusedError), Connection(port, tls=context) as client:
            response = client.request("GET", TARGET)
            return response.status == 307 and response["Location"] == self.setting.target + TARGET
        return False


class Ours(Server):
    name = "ours"
    binary = "REDIRECTOR_BINARY"  # the variable that names it

    def commands(self) -> list[list[object]]:
        setting = self.setting
        source = ["--vault-cacert", setting.certificates.ca]
        for node in (setting.target, *setting.standbys):
            source += ["--vault-addr", node]
        if setting.consul:
            source = ["--https", "--ip", setting.consul]
        run = [
            os.environ[self.binary], "--bind", "127.0.0.1", "--workers", setting.workers,
            # By default its first answers wait for the node, and here it is asked when it can answer.
            "--keep-alive-timeout", 300, "--hold", 0]
        tls = [*run, "-P", self.tls_port, "-c", setting.chain, "-k", setting.key, *source]
        return [tls] if setting.tls_only else [[*run, "-P", self.plain_port, *source], tls]


class Before(Ours):
    """Another binary of ours, for what a change gave."""

    name = "before"
    binary = "REDIRECTOR_BEFORE"


class Nginx(Server):
    name = "nginx"

    def commands(self) -> list[list[object]]:
        path = self.fill("nginx.conf", chain=self.setting.chain, key=self.setting.key)
        return [["nginx", "-p", self.directory, "-c", path, "-e", self.directory / "error.log"]]


class HAProxy(Server):
    name = "haproxy"
    environment = {"OPENSSL_CONF": str(HERE / "haproxy-openssl.cnf")}

    def commands(self) -> list[list[object]]:
        bundle = self.directory / "bundle.pem"
        bundle.write_text(self.setting.chain.read_text() + self.setting.key.read_text())
        return [["haproxy", "-db", "-f", self.fill("haproxy.cfg", bundle=bundle)]]


class Floor(Server):
    name = "floor"

    def commands(self) -> list[list[object]]:
        location = self.setting.target + TARGET
        run = self.setting.scratch / "floor"
        tls = [run, self.tls_port, location, self.setting.chain, self.setting.key]
        return [tls] if self.setting.tls_only else [[run, self.plain_port, location], tls]


ALL = {server.name: server for server in (Ours, Nginx, HAProxy, Floor)}

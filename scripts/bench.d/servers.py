"""The servers that are compared: each answers 307 to the same place, on a plain and on a TLS port."""

import contextlib
import http.server
import os
import pathlib
import re
import ssl
import subprocess
import threading
import time

from harness.certs import Certificates
from harness.http import Connection
from harness.openbao import free_ports
from harness.polling import wait_until
from harness.redirector import Redirector

HERE = pathlib.Path(__file__).parent
TARGET = "/v1/secret/data/bench?version=3"


class StandInNode:
    """An active node for the redirector to find: TLS, and 200 for `/v1/sys/health`."""

    class Handler(http.server.BaseHTTPRequestHandler):
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


class Server:
    """One server, pinned to a core. `launch` starts its processes and sets both ports."""

    name = ""

    def __init__(self, setting: "Setting"):
        self.setting = setting
        self.directory = setting.scratch / f"{self.name}-{setting.key_type}"
        self.directory.mkdir(exist_ok=True)
        self.processes: list[subprocess.Popen] = []
        self.plain_port, self.tls_port = free_ports(2)

    def __enter__(self) -> "Server":
        try:
            self.launch()
            for tls in (False, True):
                wait_until(f"{self.name} to answer right", lambda: self._answers(tls), 20)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(10)
        self.processes.clear()

    def launch(self):
        raise NotImplementedError

    def start(self, *command: object):
        pinned = ["taskset", "-c", str(self.setting.core), *map(str, command)]
        with (self.directory / "log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(pinned, stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def fill(self, template: str, **values: object) -> pathlib.Path:
        path = self.directory / template
        path.write_text((HERE / template).read_text().format(
            directory=self.directory, target=self.setting.target,
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

        The kernel's CPU clock of a process, by the id that clock_getcpuclockid(3) makes of its pid: the
        sum of the first fields of /proc/PID/task/*/schedstat, and of the threads that have ended.
        """
        return sum(time.clock_gettime_ns((~pid << 3) | 2) for pid in self.pids())

    def memory(self) -> int:
        """Bytes that it has to itself, shared ones in proportion."""
        pattern = re.compile(r"^Pss: +(\d+) kB", re.MULTILINE)
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

    def launch(self):
        tls = ("-c", self.setting.chain, "-k", self.setting.key)
        self.plain_port = self._run("plain")
        self.tls_port = self._run("tls", *tls)

    def _run(self, which: str, *options: object) -> int:
        run = Redirector(
            "--bind", "127.0.0.1", "--workers", "1", "--vault-addr", self.setting.target,
            "--vault-cacert", self.setting.certificates.ca, *options,
            binary=os.environ["REDIRECTOR_BINARY"], log=self.directory / f"{which}.log",
            prefix=("taskset", "-c", str(self.setting.core)))
        self.processes.append(run.process)
        return run.port


class Nginx(Server):
    name = "nginx"

    def launch(self):
        path = self.fill("nginx.conf", chain=self.setting.chain, key=self.setting.key)
        self.start("nginx", "-p", self.directory, "-c", path, "-e", self.directory / "error.log")


class HAProxy(Server):
    name = "haproxy"

    def launch(self):
        bundle = self.directory / "bundle.pem"
        bundle.write_text(self.setting.chain.read_text() + self.setting.key.read_text())
        self.start("haproxy", "-db", "-f", self.fill("haproxy.cfg", bundle=bundle))


class Floor(Server):
    name = "floor"

    def launch(self):
        location = self.setting.target + TARGET
        floor = self.setting.scratch / "floor"
        self.start(floor, self.plain_port, location)
        self.start(floor, self.tls_port, location, self.setting.chain, self.setting.key)


ALL = {server.name: server for server in (Ours, Nginx, HAProxy, Floor)}


class Setting:
    """What all servers of a run share."""

    def __init__(
        self, scratch: pathlib.Path, certificates: Certificates, core: int, target: str,
        key_type: str = "ecdsa",
    ):
        self.scratch = scratch
        self.certificates = certificates
        self.core = core
        self.target = target
        self.key_type = key_type
        rsa = key_type == "rsa"
        self.chain = certificates.rsa_chain if rsa else certificates.chain
        self.key = certificates.rsa_key if rsa else certificates.key

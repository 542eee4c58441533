"""The demo's story, told line by line; scripts/demo builds and installs what it needs."""

import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from harness.certs import REPOSITORY, Certificates
from harness.http import Connection
from harness.openbao import Cluster, Node, binary as bao_binary
from harness.polling import wait_until
from harness.redirector import Redirector

SECRET = "/v1/secret/data/demo"


def say(text: str = ""):
    print(text, flush=True)


def shorten(line: str) -> str:
    """Of one of Vault's long JSON answers, the part that matters."""
    return f'{{… "data": {json.dumps(json.loads(line)["data"])} …}}' if line.startswith("{") else line


class Watch(threading.Thread):
    """Notes when `observe` starts to give each new answer."""

    def __init__(self, observe):
        super().__init__(daemon=True)
        self._observe = observe
        self._over = threading.Event()
        self.changes: list[tuple[float, str | None]] = []

    def run(self):
        while not self._over.is_set():
            seen = self._observe()
            if not self.changes or self.changes[-1][1] != seen:
                self.changes.append((time.monotonic(), seen))
            self._over.wait(0.005)

    def stop(self):
        self._over.set()
        self.join()

    def since(self, value: str) -> float:
        """When the last change to `value` was seen."""
        return max(at for at, seen in self.changes if seen == value)


class Demo:
    def __init__(self, scratch: pathlib.Path):
        self.scratch = scratch
        self.certificates = Certificates(REPOSITORY / "certs")
        self.cluster = Cluster(scratch, self.certificates)
        self.redirector: Redirector | None = None

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self.redirector.port}"

    def tell(self):
        self.start_cluster()
        self.start_redirector()
        self.write_and_read("before")
        self.move_the_active_node()
        self.write_and_read("after")

    def start_cluster(self):
        say(f"\n1. A cluster: three OpenBao nodes, raft storage, TLS, in {self.scratch}")
        active = self.cluster.serve()
        self.cluster.mount_kv()
        for node in self.cluster.nodes:
            say(f"   {node.name}  {node.api}  {'active' if node is active else 'standby'}")

    def start_redirector(self):
        say("\n2. The redirector, over TLS, with the address of each node")
        addresses = [word for node in self.cluster.nodes for word in ("--vault-addr", node.api)]
        self.redirector = Redirector(
            "--bind", "127.0.0.1",
            "--cert-path", self.certificates.chain, "--key-path", self.certificates.key,
            *addresses, "--vault-cacert", self.certificates.ca,
            binary=os.environ["REDIRECTOR_BINARY"], log=self.scratch / "redirector.log",
        )
        say(f"   $ {self.redirector.command_line()}")
        wait_until("the redirector to find the active node", lambda: self.location() is not None)
        self.run("curl", "-sSi", "--cacert", self.certificates.ca, self.address + SECRET)

    def write_and_read(self, when: str):
        step = {"before": 3, "after": 5}[when]
        say(f"\n{step}. A secret, written and read through the redirect: curl -L, then the bao CLI")
        curl = ("curl", "-sSfL", "--cacert", self.certificates.ca, "-H", "X-Vault-Token: $BAO_TOKEN")
        url = self.address + SECRET
        if when == "after":
            self.run(*curl, url, expect='"colour":"before"')
        self.run(*curl, "-d", f'{{"data":{{"colour":"{when}"}}}}', url, expect='"version":')
        self.run(*curl, url, expect=f'"colour":"{when}"')
        self.run("bao", "kv", "put", "-mount=secret", f"demo-{when}", f"taste={when}")
        read = ("bao", "kv", "get", "-mount=secret", "-field=taste", f"demo-{when}")
        self.run(*read, expect=when)

    def move_the_active_node(self):
        old = self.cluster.wait_for_active()
        say(f"\n4. {old.name} is active, and is asked to step down")
        nodes = Watch(lambda: getattr(self.cluster.active(), "api", None))
        redirects = Watch(self.location)
        nodes.start()
        redirects.start()
        try:
            asked, new = self.step_down_or_seal(old)
            wait_until("the redirect to follow", lambda: self.location() == new.api)
            wait_until("the watches to see it", lambda: redirects.changes[-1][1] == new.api)
        finally:
            nodes.stop()
            redirects.stop()
        elected, followed = nodes.since(new.api), redirects.since(new.api)
        say(f"   {new.name} is active {elected - asked:.2f} s later, "
            f"and the redirect leads there {(followed - elected) * 1000:+.0f} ms after that")
        say(f"   it led to: {self.itinerary(redirects)}")
        if self.cluster.health(old) == 503:
            self.cluster.unseal(old)
            say(f"   {old.name} is unsealed again, a standby now")

    def step_down_or_seal(self, old: Node) -> tuple[float, Node]:
        """Moves the active node away from `old`; when it was asked to go, and the new one."""
        asked = time.monotonic()
        self.cluster.step_down()
        try:
            return asked, self.cluster.wait_for_active(other_than=old, seconds=8)
        except TimeoutError:
            say(f"   {old.name} won the election again, so it is sealed")
        asked = time.monotonic()
        self.cluster.seal(old)
        return asked, self.cluster.wait_for_active(other_than=old)

    def itinerary(self, redirects: Watch) -> str:
        names = {node.api: node.name for node in self.cluster.nodes} | {None: "nowhere (503)"}
        return " → ".join(names[seen] for _, seen in redirects.changes)

    def location(self) -> str | None:
        """The node that the redirector names now; None for its 503."""
        context = self.certificates.client_context()
        with Connection(self.redirector.port, tls=context) as connection:
            response = connection.request("GET", SECRET)
        if response.status == 503:
            return None
        if response.status != 307:
            raise RuntimeError(f"expected 307 or 503, got {response}")
        return response["Location"].removesuffix(SECRET)

    def run(self, *command: object, expect: str = ""):
        """Shows a command, runs it and shows what it says; `expect` must be in there."""
        words = [str(word) for word in command]
        shown = shlex.join(words).replace("'X-Vault-Token: $BAO_TOKEN'", '"X-Vault-Token: $BAO_TOKEN"')
        say(f"   $ {shown.replace(f'{REPOSITORY}/', '')}")
        words = [word.replace("$BAO_TOKEN", self.cluster.root_token) for word in words]
        if words[0] == "bao":
            words[0] = bao_binary()
        done = subprocess.run(
            words, env={**os.environ, **self.environment()}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        for line in done.stdout.strip().splitlines():
            say(f"     {shorten(line)}")
        if done.returncode or expect not in done.stdout:
            raise RuntimeError(f"{words[0]} exited {done.returncode}, or did not say {expect!r}")

    def environment(self) -> dict[str, str]:
        """What the bao CLI needs to work through the redirector."""
        return {
            "BAO_ADDR": self.address,
            "BAO_CACERT": str(self.certificates.ca),
            "BAO_TOKEN": self.cluster.root_token,
        }

    def leave_running(self):
        processes = [self.redirector.pid, *(node.process.pid for node in self.cluster.nodes)]
        say("\nIt goes on running. To use it:")
        for name, value in self.environment().items():
            say(f"   export {name}={value}")
        say(f"   {bao_binary()} kv get -mount=secret demo-after")
        say(f"   curl -L --cacert $BAO_CACERT -H \"X-Vault-Token: $BAO_TOKEN\" {self.address}{SECRET}")
        say(f"   tail -f {self.redirector.log}")
        say("To stop it:")
        say(f"   kill {' '.join(map(str, processes))}; sleep 2; rm -rf {self.scratch}")

    def clean_up(self):
        if self.redirector:
            self.redirector.kill()
        self.cluster.stop()
        shutil.rmtree(self.scratch)


def main() -> int:
    keep = "--keep" in sys.argv[1:]
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    for name in [name for name in os.environ if name.startswith(("VAULT_", "BAO_", "CONSUL_"))]:
        del os.environ[name]
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1"
    demo = Demo(pathlib.Path(tempfile.mkdtemp(prefix="vault-redirector-demo.")))
    told = False
    try:
        demo.tell()
        told = True
        if not keep:
            code = demo.redirector.stop()
            say(f"\n6. The redirector is stopped with SIGTERM: it exits {code}; everything is cleaned up")
            return code
        demo.leave_running()
        return 0
    except (RuntimeError, TimeoutError, AssertionError, OSError) as error:
        say(f"\nThe demo failed: {error}")
        return 1
    finally:
        if not (told and keep):
            demo.clean_up()


if __name__ == "__main__":
    sys.exit(main())

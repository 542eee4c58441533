"""vault-redirector 0.2.0 from PyPI: Python on Twisted, and a stand-in for the Consul it asks."""

import contextlib
import sys
import urllib.parse
from collections.abc import Iterator

from harness.certs import REPOSITORY
from harness.consul import StandInConsul, entry
from servers import Server

LIBRARIES = REPOSITORY / ".tools" / "seed"


class Seed(Server):
    name = "seed"
    environment = {"PYTHONPATH": str(LIBRARIES), "PYTHONWARNINGS": "ignore"}

    @contextlib.contextmanager
    def prepared(self) -> Iterator[None]:
        """A Consul that names the one active node."""
        node = urllib.parse.urlsplit(self.setting.target)
        with StandInConsul() as self.consul:
            self.consul.set([entry("active", node.hostname, node.port)])
            yield

    def commands(self) -> list[list[object]]:
        run = [sys.executable, "-m", "vault_redirector.runner", "-l", "-S", "-I"]
        files = ["-c", self.setting.chain, "-k", self.setting.key]
        consul = self.consul.address
        tls = [*run, *files, "-P", self.tls_port, consul]
        return [tls] if self.setting.tls_only else [[*run, "-P", self.plain_port, consul], tls]


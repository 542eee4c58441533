"""Fixtures: certificates, a cluster, and runs of the binary that end with their test."""

import os
import pathlib
import resource
from collections.abc import Callable, Iterator

import pytest

from harness.certs import Certificates
from harness.consul import StandInConsul
from harness.hosts import Hosts
from harness.http import Connection
from harness.openbao import Cluster
from harness.redirector import Redirector
from harness.vault import StandInVault
from harness.watching import Watching


@pytest.fixture(scope="session")
def binary() -> str:
    """The release binary: scripts/test builds it and names it in REDIRECTOR_BINARY."""
    path = os.environ.get("REDIRECTOR_BINARY", "")
    assert os.access(path, os.X_OK), "REDIRECTOR_BINARY names no program: run scripts/test --scenarios"
    return path


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("certs"))


@pytest.fixture
def redirector(binary: str, tmp_path: pathlib.Path) -> Iterator[Callable[..., Redirector]]:
    """Starts the binary: `redirector("--vault-addr", url, listeners=1)`; kills what is left at the end."""
    runs: list[Redirector] = []

    def start(*arguments: object, **options) -> Redirector:
        log = tmp_path / f"redirector-{len(runs)}.log"
        runs.append(Redirector(*arguments, binary=binary, log=log, **options))
        return runs[-1]

    yield start
    for run in runs:
        run.kill()


@pytest.fixture(scope="session")
def vault(certificates: Certificates) -> Iterator[StandInVault]:
    """A node that is always active: its `origin` is where every request is sent."""
    with StandInVault(certificates) as vault:
        yield vault


@pytest.fixture
def serving(redirector, certificates: Certificates, vault: StandInVault) -> Callable[..., Redirector]:
    """Starts the binary with TLS (or `tls=False`), /metrics, and `vault` for its active node, which it knows."""

    def start(*arguments: object, tls: bool = True, **options) -> Redirector:
        words = ["--bind", "127.0.0.1", "--admin", "127.0.0.1:0"]
        words += ["--vault-addr", vault.origin, "--vault-cacert", certificates.ca]
        if tls:
            words += ["-c", certificates.chain, "-k", certificates.key]
        run = redirector(*words, *arguments, **{"listeners": 2, **options})
        run.wait_for_line("active vault node changed")
        return run

    return start


@pytest.fixture(scope="module", params=["tls", "plain"])
def serving_once(request, binary, certificates, vault, tmp_path_factory) -> Iterator[Redirector]:
    """A run as `serving` starts it, over TLS and then in clear, for all tests of a file."""
    words = ["--bind", "127.0.0.1", "--admin", "127.0.0.1:0"]
    words += ["--vault-addr", vault.origin, "--vault-cacert", certificates.ca]
    if request.param == "tls":
        words += ["-c", certificates.chain, "-k", certificates.key]
    log = tmp_path_factory.mktemp("serving") / "redirector.log"
    run = Redirector(*words, binary=binary, log=log, listeners=2)
    run.wait_for_line("active vault node changed")
    yield run
    run.kill()


@pytest.fixture(params=["tls", "plain"])
def transport(request) -> str:
    """For what must hold over TLS and in clear alike."""
    return request.param


@pytest.fixture
def dial(certificates: Certificates) -> Callable[..., Connection]:
    """Connects to a run's first listener, with TLS where it speaks TLS."""
    context = certificates.client_context()

    def connect(run: Redirector, **options) -> Connection:
        tls = context if run.listeners[0].transport == "tls" else None
        return Connection(run.port, tls=tls, **options)

    return connect


@pytest.fixture
def consul() -> Iterator[StandInConsul]:
    with StandInConsul() as consul:
        yield consul


@pytest.fixture
def watch(redirector, consul: StandInConsul) -> Iterator[Callable[..., Watching]]:
    """Starts the binary in clear, with /metrics, to watch `consul` and to redirect to https."""
    watching: list[Watching] = []

    def start(*arguments: object, address: str | None = None, **options) -> Watching:
        words = ["--bind", "127.0.0.1", "--admin", "127.0.0.1:0", "-S", address or consul.address]
        run = redirector(*words, *arguments, **{"listeners": 2, **options})
        watching.append(Watching(run, consul))
        return watching[-1]

    yield start
    for each in watching:
        each.close()


@pytest.fixture(scope="session")
def many_descriptors():
    """Lets this process, and what it starts, open as many sockets as the system permits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def cluster(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[Cluster]:
    """A cluster of three nodes that serves; one for all tests of a file."""
    with Cluster(tmp_path_factory.mktemp("openbao"), certificates) as cluster:
        cluster.serve()
        yield cluster


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch):
    """Whatever VAULT_, BAO_, CONSUL_ and proxy variables the caller has, no test sees."""
    for name in list(os.environ):
        if name.startswith(("VAULT_", "BAO_", "CONSUL_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def hosts(tmp_path: pathlib.Path) -> Hosts:
    """Names for the binary that is started with `prefix=hosts.prefix`."""
    hosts = Hosts(tmp_path / "hosts")
    if not hosts.may_be_had():
        pytest.skip("needs a mount namespace")
    return hosts

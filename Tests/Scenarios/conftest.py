"""Fixtures: certificates, a cluster, and runs of the binary that end with their test."""

import os
import pathlib
from collections.abc import Callable, Iterator

import pytest

from harness.certs import Certificates
from harness.openbao import Cluster
from harness.redirector import Redirector


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

"""The real binary in what scripts/systemd/vault-redirector.service asks for: it does all its work there, and nothing it needs is refused."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

from harness.sandbox import KEY_GROUP, UNIT, USER, Sandbox, Sandboxed, Unit, obstacle

HERE = pathlib.Path(__file__).parent
OURS = "198.51.100.7"  # This machine's address in a network of its own; TEST-NET-2 of RFC 5737.

needs_sandbox = pytest.mark.skipif(obstacle() is not None, reason=str(obstacle()))


def in_a_network_of_its_own(binary: str, variant: str):
    """Runs `variant` below where 198.51.100.7 is ours, and gives what it said."""
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-B", __file__, binary, variant], capture_output=True,
        text=True, timeout=300, cwd=HERE)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_sandbox
@pytest.mark.parametrize("variant", ["as_it_is", "where_a_refusal_kills"])
def test_everything_works(binary, variant):
    in_a_network_of_its_own(binary, variant)


@needs_sandbox
def test_without_netlink_a_redirect_to_itself_goes_unnoticed(binary):
    """The unit without AF_NETLINK is noticed by this test."""
    in_a_network_of_its_own(binary, "without_netlink")


# What runs in a network of its own


class Scenario:
    """The unit's command line in its sandbox, with a Consul that it asks by name."""

    def __init__(self, unit: str, folder: pathlib.Path, binary: str, kills: bool):
        from harness.authority import Authority
        from harness.consul import StandInConsul
        from harness.tls import client_context

        self.root = Authority(folder / "root")
        self.tls = client_context(self.root.certificate)
        self.files = folder / "etc"
        self.files.mkdir()
        self.replace_certificate()
        self.sandbox = Sandbox(Unit(unit), folder / "sandbox", binary, self.files, kills)
        self.consul = StandInConsul()
        self.consul.start()
        words = self.sandbox.unit.words(consul=f"localhost:{self.consul.port}")
        self.run = Sandboxed(
            self.sandbox, *words, "--admin", "127.0.0.1:0", binary=binary, log=folder / "log",
            listeners=2)

    def replace_certificate(self) -> pathlib.Path:
        """Puts another pair there, whose key only the unit's group may read."""
        pair = self.root.issue()
        for source, name in ((pair.certificate, "chain.pem"), (pair.key, "key.pem")):
            new = self.files / f"{name}.new"
            shutil.copy(source, new)
            os.chown(new, 0, KEY_GROUP)
            new.chmod(0o640)
            new.rename(self.files / name)
        return pair.certificate

    def connect(self):
        from harness.http import Connection

        return Connection(self.run.port, tls=self.tls, seconds=60)

    def answer(self) -> tuple[int, str]:
        with self.connect() as connection:
            response = connection.request("GET", "/v1/x")
            return response.status, response["Location"] if response.status == 307 else ""

    def name(self, address: str, port: int):
        from harness.consul import entry

        self.consul.set([entry("vault-a", address=address, port=port)])


def is_as_the_unit_says(run: Sandboxed, sandbox: Sandbox):
    """What the kernel says of the process."""
    status = dict(
        line.split(":", 1) for line in pathlib.Path(f"/proc/{run.pid}/status").read_text().splitlines())
    status = {name: value.strip() for name, value in status.items()}
    assert set(status["Uid"].split()) == {str(USER)} and status["Groups"] == str(KEY_GROUP)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert (status["NoNewPrivs"], status["Seccomp"], status["Seccomp_filters"]) == ("1", "2", "2")
    assert int(status["Umask"], 8) == int(sandbox.unit["UMask"], 8)
    limits = pathlib.Path(f"/proc/{run.pid}/limits").read_text()
    for name, limit in (("open files", sandbox.descriptors), ("core file size", sandbox.unit["LimitCORE"])):
        assert re.search(rf"^Max {name} +{limit} +{limit} ", limits, re.MULTILINE), limits


def serves(scenario: Scenario):
    """TLS and Consul: what it says, and what it says then."""
    from harness.polling import wait_until

    scenario.name("192.0.2.1", 8200)
    wait_until("a redirect", lambda: scenario.answer() == (307, "https://192.0.2.1:8200/v1/x"))
    scenario.name("192.0.2.2", 8200)
    wait_until("another one", lambda: scenario.answer() == (307, "https://192.0.2.2:8200/v1/x"))


def rotates(scenario: Scenario):
    """A replaced certificate is served, by itself and when asked for; /metrics counts both."""
    from harness.metrics import scrape, wait_for_count
    from harness.polling import wait_until
    from harness.tls import leaf, leaf_of

    wanted = leaf_of(scenario.replace_certificate())
    wait_until("the new leaf", lambda: leaf(scenario.run, scenario.tls) == wanted)
    reloads = scrape(scenario.run)("tls_reloads_total", result="success")
    assert reloads >= 1
    scenario.run.signal(signal.SIGHUP)
    wait_for_count(scenario.run, "tls_reloads_total", reloads + 1, result="success")


def refuses_itself(scenario: Scenario) -> bool:
    """Whether Consul's word that we are the active node, at our own address, is not believed."""
    from harness.polling import wait_until

    scenario.name(OURS, scenario.run.port)
    ours = (307, f"https://{OURS}:{scenario.run.port}/v1/x")
    refused = f"{OURS}:{scenario.run.port} is this redirector's own listener"
    is_refused = lambda: any(refused in line for line in scenario.run.lines)
    wait_until("a refusal, or a redirect", lambda: is_refused() or scenario.answer() == ours)
    return is_refused() and scenario.answer() != ours


def ends(scenario: Scenario):
    """A drain finishes the request that has begun."""
    with scenario.connect() as connection:
        connection.send(b"GET /v1/x HTTP/1.1\r\n")
        scenario.run.signal(signal.SIGTERM)
        scenario.run.wait_for_line("stopping: what is in flight")
        connection.send(b"Host: x\r\n\r\n")
        assert connection.response().status in (307, 503)
    assert scenario.run.wait(60) == 0


def counts_its_memory(scenario: Scenario):
    """Connections follow from MemoryMax=, as the unit's comment says."""
    line = scenario.run.wait_for_line("connections are limited")
    said = re.search(r"Half of this, at (\d+) KiB for each, are the ([\d,]+) connections", UNIT)
    each, number = int(said[1]), int(said[2].replace(",", ""))
    assert number == scenario.sandbox.memory_max // 2 // (each << 10)
    assert f"bytes_each={each << 10} " in line
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    has_group = re.search("^0::", pathlib.Path("/proc/self/cgroup").read_text(), re.MULTILINE)
    if has_group and machine > scenario.sandbox.memory_max and scenario.sandbox.descriptors > number + 200:
        assert "memory.max" in line and f"connections={number} " in line


def as_it_is(folder: pathlib.Path, binary: str, kills: bool = False):
    scenario = Scenario(UNIT, folder, binary, kills)
    try:
        is_as_the_unit_says(scenario.run, scenario.sandbox)
        counts_its_memory(scenario)
        serves(scenario)
        rotates(scenario)
        assert refuses_itself(scenario), "it redirects to itself"
        scenario.run.signal(signal.SIGUSR2)
        scenario.run.wait_for_line("logging disabled")
        scenario.run.signal(signal.SIGUSR1)
        scenario.run.wait_for_line("logging enabled")
        serves(scenario)
        ends(scenario)
        assert not any("ermission" in line or "not permitted" in line for line in scenario.run.lines)
    finally:
        scenario.run.kill()
        scenario.consul.stop()


def where_a_refusal_kills(folder: pathlib.Path, binary: str):
    as_it_is(folder, binary, kills=True)


def without_netlink(folder: pathlib.Path, binary: str):
    assert UNIT.count(" AF_NETLINK\n") == 1
    scenario = Scenario(UNIT.replace(" AF_NETLINK\n", "\n"), folder, binary, kills=False)
    try:
        scenario.run.wait_for_line("this machine's own addresses are unknown")
        serves(scenario)
        assert not refuses_itself(scenario), "it knows itself: AF_NETLINK is needed no more"
    finally:
        scenario.run.kill()
        scenario.consul.stop()


def main(binary: str, variant: str):
    from test_a_redirect_to_itself_is_noticed import give_address

    give_address("lo", "127.0.0.1", "255.0.0.0")
    give_address("lo:1", OURS, "255.255.255.255")
    with tempfile.TemporaryDirectory() as folder:
        globals()[variant](pathlib.Path(folder), binary)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The addresses of this machine are looked at again, and where the kernel does not tell them, a line says so."""

import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

from harness.consul import entry
from harness.hosts import NAME

HERE = pathlib.Path(__file__).parent
CONSUL = "127.0.0.1:8500"

FORBID = r"""
#include <errno.h>
struct ifaddrs;
/* What RestrictAddressFamilies= without AF_NETLINK amounts to. */
int getifaddrs(struct ifaddrs **list) { (void)list; errno = EAFNOSUPPORT; return -1; }
"""


def test_unknown_addresses_are_worth_a_line(redirector, tmp_path):
    source, library = tmp_path / "forbid.c", tmp_path / "forbid.so"
    source.write_text(FORBID)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
    run = redirector(CONSUL, environment={"LD_PRELOAD": str(library)})
    line = run.wait_for_line("this machine's own addresses are unknown")
    assert "level=warning" in line and "AF_NETLINK" in line and "reason=\"getifaddrs: " in line


def test_a_name_that_is_ours_by_its_address(watch, consul, hosts):
    """The listener is on 127.0.0.1; where the name is, is looked up again each minute, and on SIGHUP."""
    hosts.say("127.0.1.9")
    watching = watch(prefix=hosts.prefix)
    consul.set([entry(NAME, port=watching.run.port)])
    watching.follow(NAME)
    hosts.say("127.0.0.1")
    watching.run.signal(signal.SIGHUP)
    watching.follow(None)
    reason = watching.health()[1]["discovery"]["nodes"][0]["reason"]
    assert reason == f"{NAME}:{watching.run.port} is this redirector's own listener"
    hosts.say("127.0.1.9")
    watching.run.signal(signal.SIGHUP)
    watching.follow(NAME)


def may_have_a_network_of_its_own() -> bool:
    return shutil.which("unshare") is not None and subprocess.run(
        ["unshare", "-n", "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not may_have_a_network_of_its_own(), reason="needs unshare -n")
def test_an_address_that_comes_later_is_ours_too(binary):
    done = subprocess.run(
        ["unshare", "-n", sys.executable, "-B", __file__, binary], capture_output=True, text=True,
        timeout=120, cwd=HERE)
    assert done.returncode == 0, done.stdout + done.stderr


def in_a_network_of_its_own(binary: str):
    """Consul names 198.51.100.7, which is nobody's here, and then this machine's."""
    from harness.consul import StandInConsul, entry
    from harness.http import Connection
    from harness.polling import wait_until
    from harness.redirector import Redirector

    give_address("lo", "127.0.0.1", "255.0.0.0")
    with tempfile.TemporaryDirectory() as folder, StandInConsul() as consul:
        run = Redirector(
            "-S", "--target", "ip", "--bind", "0.0.0.0", consul.address, binary=binary,
            log=pathlib.Path(folder) / "log")
        try:
            def status():
                with Connection(run.port) as connection:
                    return connection.request("GET", "/v1/x").status

            consul.set([entry("elsewhere", address="198.51.100.7", port=run.port)])
            wait_until("a redirect", lambda: status() == 307, seconds=60)
            give_address("lo:1", "198.51.100.7", "255.255.255.255")
            run.signal(signal.SIGHUP)
            wait_until("none to ourselves", lambda: status() == 503, seconds=60)
            assert run.stop() == 0
        finally:
            run.kill()


def give_address(interface: str, address: str, mask: str):
    """As ifconfig(8) does, which is not everywhere."""
    import fcntl
    import socket
    import struct

    name = interface.encode().ljust(16, b"\0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for request, value in ((0x8916, address), (0x891C, mask)):  # SIOCSIFADDR, SIOCSIFNETMASK
            packed = struct.pack("16sHH4s8x", name, socket.AF_INET, 0, socket.inet_aton(value))
            fcntl.ioctl(control, request, packed)
        up = 0x1 | 0x40  # IFF_UP, IFF_RUNNING
        fcntl.ioctl(control, 0x8914, struct.pack("16sh14x", name, up))  # SIOCSIFFLAGS


if __name__ == "__main__":
    in_a_network_of_its_own(sys.argv[1])

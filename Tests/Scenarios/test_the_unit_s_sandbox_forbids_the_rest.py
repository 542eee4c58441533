"""The tests' sandbox is the one that the unit asks for: what each directive forbids is forbidden, and none is forgotten."""

import pathlib
import subprocess

import pytest

from harness.sandbox import UNIT, UNIT_FILE, Sandbox, Unit, obstacle

needs_sandbox = pytest.mark.skipif(obstacle() is not None, reason=str(obstacle()))

PROBE = r"""#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#define TRY(directive, call) \
  (errno = 0, printf("%s %s\n", directive, (call) != -1 ? "0" : strerrorname_np(errno)))

int main(void) {
  struct timespec time = {0, 0};
  struct sched_param first = {1};
  char name[] = "x";
  void *page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  TRY("RestrictAddressFamilies", socket(AF_PACKET, SOCK_DGRAM, 0));
  TRY("RestrictNamespaces", unshare(CLONE_NEWUSER));
  TRY("RestrictRealtime", sched_setscheduler(0, SCHED_FIFO, &first));
  TRY("RestrictSUIDSGID", mkdir("/tmp/x", 04755));
  TRY("LockPersonality", personality(ADDR_NO_RANDOMIZE));
  TRY("MemoryDenyWriteExecute", mprotect(page, 4096, PROT_READ | PROT_EXEC));
  TRY("ProtectClock", clock_settime(CLOCK_REALTIME, &time));
  TRY("ProtectHostname", sethostname(name, 1));
  TRY("ProtectKernelLogs", syscall(SYS_syslog, 3, 0, 0));
  TRY("ProtectKernelModules", syscall(SYS_delete_module, name, 0));
  TRY("SystemCallFilter", ptrace(PTRACE_TRACEME, 0, 0, 0));
  TRY("ProtectSystem", open("/usr/x", O_WRONLY | O_CREAT, 0600));
  TRY("ProtectControlGroups", open("/sys/fs/cgroup/x", O_WRONLY | O_CREAT, 0600));
  TRY("ProtectKernelTunables", open("/proc/sys/kernel/hostname", O_WRONLY));
  TRY("ProcSubset", open("/proc/meminfo", O_RDONLY));
  TRY("ProtectProc", open("/proc/1/status", O_RDONLY));
  TRY("PrivateDevices", open("/dev/mem", O_RDONLY));
  TRY("PrivateTmp", access("/tmp/seen-from-outside", F_OK));
  TRY("nothing", socket(AF_NETLINK, SOCK_RAW, 0));
  TRY("nothing", open("/tmp/x", O_WRONLY | O_CREAT, 0666));
  return 0;
}
"""
FORBIDDEN = {
    "RestrictAddressFamilies": "EAFNOSUPPORT", "RestrictNamespaces": "EPERM", "RestrictRealtime": "EPERM",
    "RestrictSUIDSGID": "EPERM", "LockPersonality": "EPERM", "MemoryDenyWriteExecute": "EPERM",
    "ProtectClock": "EPERM", "ProtectHostname": "EPERM", "ProtectKernelLogs": "EPERM",
    "ProtectKernelModules": "EPERM", "SystemCallFilter": "EPERM", "ProtectSystem": "EROFS",
    "ProtectControlGroups": "EROFS", "ProtectKernelTunables": "ENOENT", "ProcSubset": "ENOENT",
    "ProtectProc": "ENOENT", "PrivateDevices": "ENOENT", "PrivateTmp": "ENOENT", "nothing": "0"}


@needs_sandbox
def test_the_sandbox_holds(binary, certificates, tmp_path):
    """What each directive forbids is forbidden to a program that tries: else the tests above show nothing."""
    (tmp_path / "probe.c").write_text(PROBE)
    subprocess.run(["gcc", "-o", tmp_path / "probe", tmp_path / "probe.c"], check=True)
    marker = pathlib.Path("/tmp/seen-from-outside")
    marker.touch()
    try:
        sandbox = Sandbox(Unit(UNIT), tmp_path / "sandbox", binary, certificates.directory)
        done = subprocess.run(
            [*sandbox.prefix(str(tmp_path / "probe")), "probe"], capture_output=True, text=True)
    finally:
        marker.unlink()
    found = dict(line.split() for line in done.stdout.splitlines())
    assert found == FORBIDDEN, done.stderr


@pytest.mark.parametrize("line", [
    "ProtectEverything=yes", "PrivateTmp=no", "PrivateTmp=yes\nPrivateTmp=yes", "ProtectSystem=full",
    "CapabilityBoundingSet=CAP_NET_BIND_SERVICE", "no words"])
def test_what_it_cannot_make_is_an_error(line):
    name = line.partition("=")[0]
    kept = [each for each in UNIT.splitlines() if not each.startswith(name + "=")]
    at = kept.index("[Service]") + 1
    with pytest.raises(AssertionError, match=name):
        Unit("\n".join([*kept[:at], line, *kept[at:]]))


@needs_sandbox
def test_systemd_s_own_judgement():
    """Exposure of 1.2 at the most; systemd-analyze takes ten times that."""
    done = subprocess.run(
        ["systemd-analyze", "--no-pager", "security", "--offline=true", "--threshold=12", UNIT_FILE],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr

"""The seccomp filters that systemd makes of a unit's directives, by libseccomp: systemd.exec(5), and seccomp-util.c of systemd 252.

`Filters` has one method for each directive, and writes two programs: what SystemCallFilter= allows, and what all others
forbid. `kills`: what would be answered with an error ends the process, but for clone3 and openat2, which the C library is to
do without where a filter cannot look into what they are given.
"""

import ctypes
import errno
import functools
import pathlib
import socket
import subprocess

_lib = ctypes.CDLL("libseccomp.so.2")


class _Comparison(ctypes.Structure):
    _fields_ = [
        ("argument", ctypes.c_uint), ("operator", ctypes.c_int), ("a", ctypes.c_uint64),
        ("b", ctypes.c_uint64)]


_lib.seccomp_init.restype = ctypes.c_void_p
_lib.seccomp_init.argtypes = [ctypes.c_uint32]
_lib.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
_lib.seccomp_rule_add_array.argtypes = [
    ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(_Comparison)]
_lib.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]

_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_UNEQUAL, _LESS, _EQUAL, _GREATER, _MASKED = 1, 2, 4, 6, 7

_NAMESPACES = (  # CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID, NET, TIME
    0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000, 0x80)
_SETID = (0o4000, 0o2000)
_PROT_WRITE, _PROT_EXEC, _SHM_EXEC = 2, 4, 0o100000
_POLICIES_BEYOND = 5  # SCHED_IDLE; of those below it SCHED_FIFO and SCHED_RR are real-time.


@functools.cache
def groups() -> dict[str, list[str]]:
    """systemd's groups of system calls, as the installed version has them."""
    text = subprocess.run(
        ["systemd-analyze", "--no-pager", "syscall-filter"], capture_output=True, text=True, check=True
    ).stdout
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("@"):
            found[line] = members = []
        elif line.startswith("    ") and not line.lstrip().startswith("#"):
            members.append(line.strip())
    return found


def calls(name: str) -> set[str]:
    """The calls of a group, those of groups within it too, or the call itself."""
    if not name.startswith("@"):
        return {name}
    return set().union(*map(calls, groups()[name]))


class _Program:
    def __init__(self, default: int):
        self._context = _lib.seccomp_init(default)
        assert self._context

    def rule(self, action: int, name: str, *comparisons: tuple[int, ...]):
        number = _lib.seccomp_syscall_resolve_name(name.encode())
        if number < 0:
            return  # Not on this architecture.
        rows = [_Comparison(*(*comparison, 0, 0)[:4]) for comparison in comparisons]
        array = (_Comparison * len(rows))(*rows)
        result = _lib.seccomp_rule_add_array(self._context, action, number, len(rows), array)
        assert result == 0, f"{name}: {errno.errorcode[-result]}"

    def write(self, path: pathlib.Path):
        with path.open("wb") as file:
            assert _lib.seccomp_export_bpf(self._context, file.fileno()) == 0


class Filters:
    """`error`: the name of the errno that SystemCallFilter= answers with."""

    def __init__(self, error: str, kills: bool):
        self._kills = kills
        self._refusal = self._answer(getattr(errno, error))
        self._forbidding = _Program(_ALLOW)
        self._allowed: set[str] = set()

    def write(self, folder: pathlib.Path) -> list[pathlib.Path]:
        """The programs; none but the native architecture's calls get through, whatever they say."""
        allowing = _Program(self._refusal)
        for name in sorted(self._allowed | calls("@default")):
            allowing.rule(_ALLOW, name)
        paths = [folder / "allowing.bpf", folder / "forbidding.bpf"]
        allowing.write(paths[0])
        self._forbidding.write(paths[1])
        return paths

    def _answer(self, code: int) -> int:
        return _KILL if self._kills else _ERROR | code

    def _forbid(self, name: str, *comparisons: tuple[int, ...], code: int = errno.EPERM):
        self._forbidding.rule(self._answer(code), name, *comparisons)

    def _lack(self, name: str):
        self._forbidding.rule(_ERROR | errno.ENOSYS, name)

    def system_call_filter(self, values: list[str]):
        """Lists of what is allowed; those that begin with `~` take away from the ones before."""
        for value in values:
            names = set().union(*map(calls, value.removeprefix("~").split()))
            self._allowed = self._allowed - names if value.startswith("~") else self._allowed | names

    def restrict_address_families(self, value: str):
        families = sorted(int(getattr(socket, name)) for name in value.split())
        code = errno.EAFNOSUPPORT
        self._forbid("socket", (0, _LESS, families[0]), code=code)
        self._forbid("socket", (0, _GREATER, families[-1]), code=code)
        for family in range(families[0], families[-1]):
            if family not in families:
                self._forbid("socket", (0, _EQUAL, family), code=code)

    def restrict_namespaces(self):
        self._lack("clone3")
        for flag in _NAMESPACES:
            self._forbid("unshare", (0, _MASKED, flag, flag))
            self._forbid("clone", (0, _MASKED, flag, flag))
        self._forbid("setns")

    def restrict_realtime(self):
        self._forbid("sched_setscheduler", (1, _GREATER, _POLICIES_BEYOND))
        for policy in (1, 2):
            self._forbid("sched_setscheduler", (1, _EQUAL, policy))

    def restrict_suid_sgid(self):
        self._lack("openat2")
        modes = {
            "chmod": 1, "fchmod": 1, "fchmodat": 2, "mkdir": 1, "mkdirat": 2, "mknod": 1, "mknodat": 2,
            "creat": 1}
        for bit in _SETID:
            for name, argument in modes.items():
                self._forbid(name, (argument, _MASKED, bit, bit))
            for name, flags in (("open", 1), ("openat", 2)):
                creates = (flags, _MASKED, 0o100, 0o100)
                self._forbid(name, creates, (flags + 1, _MASKED, bit, bit))

    def memory_deny_write_execute(self):
        both = _PROT_WRITE | _PROT_EXEC
        self._forbid("mmap", (2, _MASKED, both, both))
        for name in ("mprotect", "pkey_mprotect"):
            self._forbid(name, (2, _MASKED, _PROT_EXEC, _PROT_EXEC))
        self._forbid("shmat", (2, _MASKED, _SHM_EXEC, _SHM_EXEC))

    def lock_personality(self):
        """To PER_LINUX, which is 0."""
        self._forbid("personality", (0, _UNEQUAL, 0))

    def forbid(self, *names: str):
        """These calls, and those of these groups."""
        for name in sorted(set().union(*map(calls, names))):
            self._forbid(name)

"""The sandbox that the unit file asks for, without systemd: bubblewrap, procfs and seccomp, made of the file's own words.

    sandbox = Sandbox(Unit(UNIT), folder, binary, certificates)
    run = Sandboxed(sandbox, *sandbox.unit.words(consul=address), binary=binary, log=…)

Every directive of [Service] is known here, or an error: `_DIRECTIVES` says what those amount to that are switched on, `_VALUES` and
`_EMPTY` what others have to be, `_WRITTEN` which are taken as they stand; `_OF_THE_SUPERVISOR` are about starting and ending,
and `NOT_HAD` says why those cannot be had here. It needs root, as systemd does: for a procfs of its own and to become
somebody else.
"""

import dataclasses
import functools
import json
import os
import pathlib
import re
import resource
import shlex
import shutil
import subprocess

from .certs import REPOSITORY
from .polling import wait_until
from .redirector import Redirector
from .seccomp import Filters

UNIT_FILE = REPOSITORY / "scripts/systemd/vault-redirector.service"
UNIT = UNIT_FILE.read_text()
USER, KEY_GROUP = 61184, 61185  # The first of DynamicUser='s range, and a group beside it.
STAGE = "/mnt"
FILES, PROGRAM = f"{STAGE}/etc", f"{STAGE}/bin/vault-redirector"

NOT_HAD = {
    "RemoveIPC": "what System V IPC a user left is removed when the unit stops: the program makes none",
    "KeyringMode": "systemd joins a new session keyring before it executes: the program uses none",
    "OOMScoreAdjust": "needs CAP_SYS_RESOURCE, which the root of a container lacks; it changes nothing within",
    "MemoryMax": "the kernel's part needs a control group to itself; the program is shown the file that tells of it",
}
_OF_THE_SUPERVISOR = {
    "Type", "Environment", "ExecStartPre", "ExecStart", "ExecReload", "Restart", "RestartSec",
    "RestartPreventExitStatus", "TimeoutStopSec"}


@dataclasses.dataclass(frozen=True)
class Means:
    """What a directive that is switched on amounts to: options of bubblewrap's (a directory that is not here needs none),
    system calls that are forbidden, a rule of `Filters`; `otherwise` says who does it without any of them."""

    options: tuple[tuple[str, ...], ...] = ()
    calls: tuple[str, ...] = ()
    rule: str = ""
    otherwise: str = ""


_EMPTY = {"CapabilityBoundingSet": "bubblewrap leaves none, in no set"}
_DIRECTIVES = {
    "DynamicUser": Means(otherwise="setpriv makes it another user"),
    "PrivateUsers": Means((("--unshare-user",),)),
    "NoNewPrivileges": Means(otherwise="bubblewrap sets it, always"),
    "PrivateMounts": Means(otherwise="bubblewrap has mounts of its own, always"),
    "ProtectHome": Means((("--tmpfs", "/home"), ("--tmpfs", "/root"))),
    "PrivateTmp": Means((("--tmpfs", "/tmp"), ("--tmpfs", "/var/tmp"))),
    "PrivateDevices": Means((("--dev", "/dev"),), calls=("@raw-io",)),
    "ProtectClock": Means(calls=("@clock",)),
    "ProtectHostname": Means((("--unshare-uts",),), calls=("sethostname", "setdomainname")),
    "ProtectKernelLogs": Means(calls=("syslog",)),
    "ProtectKernelModules": Means((("--tmpfs", "/usr/lib/modules"),), calls=("@module",)),
    "ProtectKernelTunables": Means(otherwise="/sys is read-only with /, and /proc/sys is not there"),
    "ProtectControlGroups": Means(otherwise="mounted read-only"),
    "RestrictNamespaces": Means(rule="restrict_namespaces"),
    "RestrictRealtime": Means(rule="restrict_realtime"),
    "RestrictSUIDSGID": Means(rule="restrict_suid_sgid"),
    "LockPersonality": Means(rule="lock_personality"),
    "MemoryDenyWriteExecute": Means(rule="memory_deny_write_execute"),
}
_VALUES = {  # Others are taken as they are written.
    "ProtectSystem": "strict", "ProtectProc": "invisible", "ProcSubset": "pid",
    "SystemCallArchitectures": "native"}
_WRITTEN = {
    "SystemCallFilter", "SystemCallErrorNumber", "RestrictAddressFamilies", "LimitNOFILE", "LimitCORE",
    "UMask", "SupplementaryGroups", "MemoryMax"}


class Unit:
    """A unit's [Service], judged: nothing in it is without a meaning here."""

    def __init__(self, text: str):
        self.values: dict[str, list[str]] = {}
        service = text.partition("[Service]\n")[2].partition("\n[")[0]
        for line in service.splitlines():
            if line.strip() and not line.startswith(("#", ";")):
                name, equals, value = line.partition("=")
                assert equals, f"no directive: {line}"
                self.values.setdefault(name, []).append(value)
        for name, values in self.values.items():
            self._judge(name, values)

    def _judge(self, name: str, values: list[str]):
        if name in _EMPTY:
            assert values == [""], f"{name}={values}: only an empty one is made here"
        elif name in _DIRECTIVES:
            assert values == ["yes"], f"{name}={values}: only yes is made here"
        elif name in _VALUES:
            assert values == [_VALUES[name]], f"{name}={values}: only {_VALUES[name]} is made here"
        else:
            known = _OF_THE_SUPERVISOR | _WRITTEN | NOT_HAD.keys()
            assert name in known, f"{name}: not known to the test's sandbox: add what it amounts to"

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def __getitem__(self, name: str) -> str:
        [value] = self.values[name]
        return value

    def words(self, consul: str) -> list[str]:
        """The words of ExecStart= behind the program, with that address of Consul's; `-v` is the harness's own."""
        options = re.fullmatch(r'"OPTIONS=(.*)"', self["Environment"])[1]
        words = shlex.split(self["ExecStart"].replace("$OPTIONS", options))[1:]
        words = [word.replace("/etc/vault-redirector", FILES) for word in words if word != "-v"]
        return [consul if word == "127.0.0.1:8500" else word for word in words]


class Sandbox:
    """Makes the sandbox's files in `folder`, of which the unit's user sees none but what is mounted.

    `certificates`: a directory that is /etc/vault-redirector. `kills`: what a filter refuses ends the process.
    """

    def __init__(
        self, unit: Unit, folder: pathlib.Path, binary: str, certificates: pathlib.Path,
        kills: bool = False,
    ):
        self.unit, self.folder = unit, folder
        folder.mkdir()
        self._info = folder / "info.json"
        self._binary, self._certificates = binary, certificates
        self._filters = self._make_filters(kills).write(folder)
        self._groups = folder / "cgroup"
        self._make_groups()

    def process(self) -> int:
        """The process id of the program, as it is outside."""
        return wait_until("bubblewrap's word", self._told)

    def _told(self) -> int | None:
        text = self._info.read_text() if self._info.exists() else ""
        return json.loads(text)["child-pid"] if text.rstrip().endswith("}") else None

    def prefix(self, program: str = "") -> tuple[str, ...]:
        """What begins a command line of the binary, or of another `program`: it runs as if it were installed, with the words behind."""
        return ("unshare", "--mount", "--propagation", "private", "bash", "-c", self._script(program),
                "sandbox")

    def _script(self, program: str) -> str:
        unit, q = self.unit, lambda path: shlex.quote(str(path))
        lines = [
            "set -e",
            f"mount -t tmpfs -o mode=755 tmpfs {STAGE}",
            f"mkdir {STAGE}/proc {STAGE}/etc {STAGE}/bin {STAGE}/cgroup",
            f"touch {PROGRAM}",
            f"mount -t proc -o {self._proc_options()} proc {STAGE}/proc",
            f"mount --bind {q(self._certificates)} {STAGE}/etc",
            f"mount --bind {q(self._groups)} {STAGE}/cgroup",
            f"mount --bind {q(program or self._binary)} {PROGRAM}",
            f"exec 3<{q(self._filters[0])} 4<{q(self._filters[1])} 5>{q(self._info)}",
            f"umask {unit['UMask']}",
            "cd /",
            "shift",  # The program's own path, which the mount stands for.
            f"exec prlimit --nofile={self.descriptors} --core={unit['LimitCORE']}"
            f" setpriv --reuid {USER} --regid {USER} --groups {KEY_GROUP}"
            f" --inh-caps=-all --bounding-set=-all {self._bubblewrap()} -- {PROGRAM} \"$@\"",
        ]
        return "\n".join(lines)

    def _proc_options(self) -> str:
        unit, options = self.unit, []
        if "ProtectProc" in unit:
            options.append("hidepid=invisible")
        if "ProcSubset" in unit:
            options.append("subset=pid")
        return ",".join([*options, "nosuid"])

    def _bubblewrap(self) -> str:
        words = ["bwrap", "--die-with-parent"]
        words += ["--ro-bind" if "ProtectSystem" in self.unit else "--bind", "/", "/"]
        words += ["--bind", f"{STAGE}/proc", "/proc"]
        for means in self._means():
            for name, *places in means.options:
                if all(map(os.path.isdir, places)):
                    words += [name, *places]
        words += ["--ro-bind", f"{STAGE}/cgroup", "/sys/fs/cgroup"]
        words += ["--add-seccomp-fd", "3", "--add-seccomp-fd", "4", "--info-fd", "5"]
        return shlex.join(words)

    def _means(self) -> list[Means]:
        return [means for name, means in _DIRECTIVES.items() if name in self.unit]

    def _make_filters(self, kills: bool) -> Filters:
        unit = self.unit
        filters = Filters(unit["SystemCallErrorNumber"], kills)
        filters.system_call_filter(unit.values["SystemCallFilter"])
        filters.restrict_address_families(unit["RestrictAddressFamilies"])
        for means in self._means():
            if means.rule:
                getattr(filters, means.rule)()
            if means.calls:
                filters.forbid(*means.calls)
        return filters

    def _make_groups(self):
        """The control groups that this process says it is in, the innermost limited to MemoryMax=."""
        lines = pathlib.Path("/proc/self/cgroup").read_text().splitlines()
        path = next((line[3:] for line in lines if line.startswith("0::")), "/")
        group = self._groups / path.strip("/")
        group.mkdir(parents=True)
        (group / "memory.max").write_text(f"{self.memory_max}\n")
        for path in (self.folder, *self._groups.rglob("*"), self._groups):
            path.chmod(0o755)

    @property
    def descriptors(self) -> int:
        """LimitNOFILE=, as far as this process may raise its own."""
        return min(int(self.unit["LimitNOFILE"]), resource.getrlimit(resource.RLIMIT_NOFILE)[1])

    @property
    def memory_max(self) -> int:
        """Of the unit, in bytes."""
        number, unit = re.fullmatch(r"(\d+)([KMGT])", self.unit["MemoryMax"]).groups()
        return int(number) << {"K": 10, "M": 20, "G": 30, "T": 40}[unit]


class Sandboxed(Redirector):
    """A run of the binary in that sandbox: signals and /proc/PID are the program's own, not bubblewrap's."""

    def __init__(self, sandbox: Sandbox, *arguments: object, binary: str, log: pathlib.Path, **options):
        super().__init__(*arguments, binary=binary, log=log, prefix=sandbox.prefix(), **options)
        self.pid = sandbox.process()

    def signal(self, number: int):
        os.kill(self.pid, number)


@functools.cache
def obstacle() -> str | None:
    """Why there can be no such sandbox here; None where there can."""
    if os.geteuid() != 0:
        return "needs root, as systemd does, to mount a procfs and to become another user"
    for program in ("bwrap", "systemd-analyze", "setpriv", "unshare"):
        if not shutil.which(program):
            return f"needs {program}"
    tried = subprocess.run(
        ["unshare", "--mount", "--net", "setpriv", "--reuid", str(USER), "--clear-groups", "bwrap",
         "--unshare-user", "--ro-bind", "/", "/", "true"], capture_output=True, text=True)
    return None if tried.returncode == 0 else f"needs namespaces: {tried.stderr.strip()}"

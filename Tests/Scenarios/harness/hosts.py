"""An /etc/hosts of a test's own, which may change at any time: names are looked up by the machine's own resolver."""

import os
import pathlib
import subprocess

NAME = "vault.test"
OWN_MOUNTS = ("unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]))


class Hosts:
    """What /etc/hosts says to whoever is started with `prefix`, which keeps the process's number."""

    def __init__(self, file: pathlib.Path):
        self._file = file
        self.prefix = (*OWN_MOUNTS, "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(file))
        self.say()

    def say(self, *addresses: str, **names: str):
        """`addresses` for the name; an address that is a name's value is called so, too."""
        called = {address: name.replace("_", "-") + "." + NAME for name, address in names.items()}
        lines = [f"{address} {called.get(address, '')} {NAME}\n" for address in addresses]
        # Not another file: the binary has this one under its eyes.
        self._file.write_text("127.0.0.1 localhost\n" + "".join(lines))

    def ask(self, server: str):
        """Names that are not in the file are asked for there: before a binary is started."""
        servers = self._file.with_name("resolv.conf")
        servers.write_text(f"nameserver {server}\n")
        self.prefix = (
            *OWN_MOUNTS, "sh", "-c",
            'mount --bind "$0" /etc/hosts && mount --bind "$1" /etc/resolv.conf && shift && exec "$@"',
            str(self._file), str(servers))

    def may_be_had(self) -> bool:
        return subprocess.run([*self.prefix, "true"], capture_output=True).returncode == 0

"""Certificates of every kind a test wants: expired, revoked, nameless, in the wrong order, about to end."""

import dataclasses
import datetime
import pathlib
import subprocess

P256 = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")
RSA = ("rsa:2048",)

LEAF = """\
basicConstraints=CA:FALSE
subjectAltName=DNS:localhost,IP:127.0.0.1
"""
NAMELESS = "basicConstraints=CA:FALSE\n"
AUTHORITY = """\
basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign
"""

CONFIGURATION = """\
[ca]
default_ca = this
[this]
database = {directory}/index
new_certs_dir = {directory}
rand_serial = yes
unique_subject = no
certificate = {certificate}
private_key = {key}
default_md = sha256
default_days = 400
default_crl_days = 30
policy = any
[any]
commonName = supplied
"""


@dataclasses.dataclass(frozen=True)
class Pair:
    """PEM files of a certificate and its key."""

    certificate: pathlib.Path
    key: pathlib.Path

    @property
    def serial(self) -> str:
        """As the metrics and the log have it."""
        command = ["openssl", "x509", "-in", self.certificate, "-noout", "-serial"]
        return _output(command).strip().removeprefix("serial=")


class Authority:
    """A root, or an intermediate of `issuer`; its files are in a directory of its own."""

    def __init__(self, directory: pathlib.Path, name: str = "Root", issuer: "Authority" = None):
        self.directory = directory
        self.directory.mkdir(parents=True)
        self._count = 0
        if issuer:
            made = issuer.issue(name, extensions=AUTHORITY)
            self.pair = Pair(directory / "ca.pem", directory / "ca-key.pem")
            self.pair.certificate.write_bytes(made.certificate.read_bytes())
            self.pair.key.write_bytes(made.key.read_bytes())
        else:
            self.pair = Pair(directory / "ca.pem", directory / "ca-key.pem")
            extensions = [word for line in AUTHORITY.splitlines() for word in ("-addext", line)]
            _output(
                ["openssl", "req", "-x509", "-nodes", "-days", "400", "-config", "/dev/null",
                 "-subj", f"/CN={name}", "-newkey", *P256, "-keyout", self.pair.key,
                 "-out", self.pair.certificate, *extensions])
        (directory / "index").write_text("")
        self._configuration = directory / "ca.conf"
        self._configuration.write_text(CONFIGURATION.format(
            directory=directory, certificate=self.pair.certificate, key=self.pair.key))

    @property
    def certificate(self) -> pathlib.Path:
        return self.pair.certificate

    def issue(
        self, name: str = "localhost", kind: tuple[str, ...] = P256, extensions: str = LEAF,
        start: datetime.timedelta = datetime.timedelta(hours=-1),
        end: datetime.timedelta = datetime.timedelta(days=365), key: pathlib.Path | None = None,
    ) -> Pair:
        """A certificate for `/CN=name`, valid from `start` to `end` of now, with a new key or the one given."""
        self._count += 1
        base = self.directory / f"{self._count}"
        pair = Pair(base.with_suffix(".pem"), key or base.with_suffix(".key"))
        request, extension = base.with_suffix(".csr"), base.with_suffix(".ext")
        extension.write_text(extensions)
        how = ["-key", key] if key else ["-nodes", "-newkey", *kind, "-keyout", pair.key]
        _output(["openssl", "req", "-new", "-config", "/dev/null", "-subj", f"/CN={name}",
                 *how, "-out", request])
        self._ca("-batch", "-notext", "-in", request, "-out", pair.certificate,
                 "-extfile", extension, "-startdate", _time(start), "-enddate", _time(end))
        pair.key.chmod(0o600)
        return pair

    def revoke(self, pair: Pair):
        self._ca("-revoke", pair.certificate)

    def revoke_many(self, count: int):
        """So many that nobody was ever given; 50 bytes each in a list."""
        with (self.directory / "index").open("a") as index:
            for number in range(count):
                # Numbers far apart: a search that finds its way by luck would not.
                serial = (number + 1) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 127)
                index.write(f"R\t351231000000Z\t250101000000Z\t{serial:032X}\tunknown\t/CN=many\n")

    def revocation_list(
        self, start: datetime.timedelta = datetime.timedelta(hours=-1),
        end: datetime.timedelta = datetime.timedelta(days=30), extensions: str = "",
    ) -> pathlib.Path:
        """A new file with the list as it is now, valid from `start` to `end` of now."""
        self._count += 1
        path = self.directory / f"{self._count}.crl"
        words = ["-gencrl", "-out", path, "-crl_lastupdate", _time(start), "-crl_nextupdate", _time(end)]
        if extensions:
            configuration = path.with_suffix(".conf")
            configuration.write_text(f"{self._configuration.read_text()}[list]\n{extensions}")
            words += ["-crlexts", "list", "-config", configuration]
        self._ca(*words)
        return path

    def _ca(self, *arguments: object):
        _output(["openssl", "ca", "-config", self._configuration, *arguments])


def join(path: pathlib.Path, *parts: pathlib.Path) -> pathlib.Path:
    """A file of what is in the others, in that order."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def _time(offset: datetime.timedelta) -> str:
    moment = datetime.datetime.now(datetime.timezone.utc) + offset
    return f"{moment:%Y%m%d%H%M%SZ}"


def _output(command: list) -> str:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout

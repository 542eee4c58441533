"""Once the files of keys are read, neither their text nor its bytes are left in the process's memory: only the keys in use are.

OpenSSL keeps the numbers of a private key the other way round, so that its bytes as the file has them are a copy.
"""

import base64
import os
import pathlib
import re
import signal
import subprocess

import pytest

from harness.authority import Authority
from harness.polling import wait_until

RELOADS = 3
ZEROS = re.compile(rb"\0{64,}")
# A ticket key is a name, which is no secret, and two keys of the same length.
NAME_BYTES = 16
# What is looked for: pieces that are long enough to be nobody else's.
PIECE = 32
# Of a file of five the last three are used.
KEYS, KEYS_IN_USE = 5, 3


def memory(run) -> bytes:
    """All that the process can write to, without long runs of zeros."""
    found = []
    maps = pathlib.Path(f"/proc/{run.pid}/maps").read_text().splitlines()
    with open(f"/proc/{run.pid}/mem", "rb", buffering=0) as file:
        for line in maps:
            fields = line.split()
            if not fields[1].startswith("rw"):
                continue
            start, end = (int(number, 16) for number in fields[0].split("-"))
            file.seek(start)
            try:
                found.append(file.read(end - start))
            except OSError:
                continue  # It was unmapped meanwhile, or is the kernel's own.
    return ZEROS.sub(bytes(64), b"\0".join(found))


def pieces(content: bytes, size: int) -> list[bytes]:
    return [content[at:at + size] for at in range(0, len(content) - size + 1, size)]


def private_bytes(key: bytes, kind: str) -> bytes:
    """Of a PKCS #8 key in PEM, what its certificate does not tell: of an EC key the number, of an RSA key all behind the
    public exponent."""
    der = base64.b64decode(b"".join(line for line in key.splitlines() if not line.startswith(b"-")))
    start = der.index(b"\x04\x20" if kind == "ec" else b"\x02\x03\x01\x00\x01")
    return der[start + 2:start + 34] if kind == "ec" else der[start + 5:]


class Files:
    """Keys of both kinds with their certificates, and ticket keys; `replace` writes others in their places."""

    def __init__(self, directory: pathlib.Path, size: int, is_combined: bool):
        self.authority = Authority(directory / "ca")
        self.directory, self.size, self.is_combined = directory, size, is_combined
        self.replace()

    def replace(self):
        self.tickets = [os.urandom(self.size) for _ in range(KEYS)]
        lines = [base64.b64encode(key) for key in self.tickets]
        self._put("tickets", b"\n".join(lines) + b"\n")
        self.copies = [piece for line in lines for piece in pieces(line, PIECE)]
        for kind, how in (("ec", {}), ("rsa", {"kind": ("rsa:2048",)})):
            pair = self.authority.issue(**how)
            key = pair.key.read_bytes()
            whole = [line for line in key.splitlines()[2:] if len(line) == 64]
            self.copies += [piece for line in whole for piece in pieces(line, PIECE)]
            self.copies += pieces(private_bytes(key, kind), PIECE // 2)
            self._put(f"{kind}.key", key)
            # The file of the chain may have the key in it, too.
            chain = key if self.is_combined else b""
            self._put(f"{kind}.pem", chain + pair.certificate.read_bytes())

    def _put(self, name: str, content: bytes):
        new = self.directory / "new"
        new.touch(mode=0o600)
        new.write_bytes(content)
        new.rename(self.directory / name)


def copies(key: bytes, memory: bytes) -> set[int]:
    """How often either half of a ticket key is there."""
    secret = key[NAME_BYTES:]
    half = len(secret) // 2
    return {memory.count(secret[:half]), memory.count(secret[half:])}


def what_is_wrong(run, forbidden, unused, used) -> list[str]:
    """What is in memory and should not be, or should be and is not."""
    found = memory(run)
    wrong = [f"a piece of a file: {piece}" for piece in forbidden if piece in found]
    wrong += ["a ticket key that is not used" for key in unused if copies(key, found) != {0}]
    return wrong + ["no single ticket key in use" for key in used if copies(key, found) != {1}]


# Memory that is freed stays as its last owner left it: otherwise the next one may have wiped it by chance.
NOTHING_IS_USED_AGAIN = r"""
#define _GNU_SOURCE
#include <malloc.h>
#include <string.h>

void free(void *memory) { (void)memory; }

void *realloc(void *old, size_t size) {
    void *new = malloc(size);
    size_t had = old ? malloc_usable_size(old) : 0;
    if (new && old) memcpy(new, old, had < size ? had : size);
    return new;
}
"""


@pytest.fixture(scope="module")
def hoarding(tmp_path_factory) -> dict[str, str]:
    directory = tmp_path_factory.mktemp("hoarding")
    (directory / "hoard.c").write_text(NOTHING_IS_USED_AGAIN)
    library = directory / "hoard.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, directory / "hoard.c"], check=True)
    return {"LD_PRELOAD": str(library)}


def test_keys_though_freed_memory_is_used_again(serving, tmp_path):
    assert_only_keys_in_use(serving, tmp_path, 80)


@pytest.mark.parametrize("is_combined", [False, True], ids=["apart", "with their certificates"])
@pytest.mark.parametrize("size", [48, 80])
def test_keys(serving, tmp_path, hoarding, size, is_combined):
    assert_only_keys_in_use(serving, tmp_path, size, is_combined, environment=hoarding)


def assert_only_keys_in_use(serving, tmp_path, size, is_combined=False, **options):
    files = Files(tmp_path, size, is_combined)
    names = ("-c", "ec.pem", "-k", "ec.key", "-c", "rsa.pem", "-k", "rsa.key", "--ticket-key-file", "tickets")
    run = serving(
        *(name if name.startswith("-") else tmp_path / name for name in names), tls=False, **options)
    forbidden, unused = [], []
    for count in range(RELOADS + 1):
        if count:
            unused += used
            files.replace()
            run.signal(signal.SIGHUP)
        forbidden += files.copies
        unused += files.tickets[:-KEYS_IN_USE]
        used = files.tickets[-KEYS_IN_USE:]
        # A reload may be under way for the first of the files, and another for the last.
        last = []

        def is_clean():
            last[:] = what_is_wrong(run, forbidden, unused, used)
            return not last

        try:
            wait_until("only what is used to be there", is_clean, seconds=30, interval=0.2)
        except TimeoutError as error:
            raise AssertionError(f"{error}: {len(last)} findings, as {last[:3]}") from None

"""A key exchange group that this OpenSSL does not have is left out, and the others are offered: as under FIPS 140, without X25519."""

import ctypes
import subprocess

import pytest

from harness.http import Connection

CONSUL = "127.0.0.1:8500"
LIBRARY = ctypes.CDLL("libssl.so.3")
LIBRARY.OpenSSL_version_num.restype = ctypes.c_ulong
HAS_POST_QUANTUM = LIBRARY.OpenSSL_version_num() >= 0x30500000

# libssl asks for the keys of each group (a kind of key each), and leaves out those that no provider has. This is what it
# sees of a provider without some of them.
WITHOUT = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
void *EVP_KEYMGMT_fetch(void *context, const char *name, const char *properties) {
  void *(*next)(void *, const char *, const char *) = dlsym(RTLD_NEXT, "EVP_KEYMGMT_fetch");
  for (const char *at = strtok(strdup(getenv("WITHOUT")), ","); at; at = strtok(NULL, ","))
    if (strcmp(at, name) == 0) return NULL;
  return next(context, name, properties);
}
"""


@pytest.fixture(scope="module")
def without(tmp_path_factory):
    """Makes the environment in which OpenSSL has none of some kinds of keys."""
    directory = tmp_path_factory.mktemp("without")
    (directory / "without.c").write_text(WITHOUT)
    library = directory / "without.so"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-o", library, directory / "without.c", "-ldl"], check=True)

    def environment(*kinds: str) -> dict[str, str]:
        return {"LD_PRELOAD": str(library), "WITHOUT": ",".join(kinds)}

    return environment


@pytest.fixture
def check(binary, certificates):
    def run(*arguments, **environment):
        return subprocess.run(
            [binary, "--check-config", "-c", certificates.chain, "-k", certificates.key,
             *arguments, "-S", CONSUL],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
            env={"VAULT_REDIRECTOR_PORT": "0", **environment})

    return run


def groups(done) -> list[str]:
    [line] = [line for line in done.stdout.splitlines() if "groups: " in line]
    return line.partition("groups: ")[2].split(", ")


CURVES = ["prime256v1", "secp384r1"]
HYBRID = ["X25519MLKEM768"] if HAS_POST_QUANTUM else []


def test_what_is_there_is_offered(check):
    done = check()
    assert (done.returncode, groups(done)) == (0, [*HYBRID, "X25519", *CURVES])


@pytest.mark.parametrize(
    ("kinds", "left"),
    [(["X25519"], [*HYBRID, *CURVES]), (["X25519MLKEM768"], ["X25519", *CURVES]),
     (["EC"], [*HYBRID, "X25519"])])
def test_what_is_missing_is_left_out(check, without, kinds, left):
    done = check(**without(*kinds))
    assert (done.returncode, groups(done)) == (0, left)


def test_clients_are_served_without_x25519(serving, certificates, without):
    """The start succeeds, and a client that has both takes the other."""
    run = serving(environment=without("X25519", "X25519MLKEM768"))
    with Connection(run.port, tls=certificates.client_context(), seconds=30) as connection:
        assert connection.request("GET", "/v1/x").status == 307
    offer = ["openssl", "s_client", "-connect", f"127.0.0.1:{run.port}", "-tls1_3", "-groups"]

    def shake(group):
        return subprocess.run([*offer, group], stdin=subprocess.DEVNULL, capture_output=True, timeout=60)

    assert shake("X25519").returncode != 0
    assert shake("P-256").returncode == 0


def test_where_none_is_left_nothing_starts(check, without):
    done = check(**without("X25519", "X25519MLKEM768", "EC"))
    assert done.returncode == 78
    [line] = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: --tls-groups: ") and "X25519:prime256v1:secp384r1" in line


@pytest.mark.parametrize("names", ["X25519:nonsense", "nonsense", "P-256:X25519"])
def test_what_an_operator_names_is_there_or_nothing_starts(check, without, names):
    """A list of his own means what it says: nothing is left out of it."""
    done = check("--tls-groups", names, **without("X25519"))
    assert done.returncode == 78
    assert "error: --tls-groups: " in done.stdout and names in done.stdout

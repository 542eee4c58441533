"""What an operator has set, and what is not in force as it was meant, keeps the program from starting: it never just means less."""

import signal
import subprocess

import pytest

from harness.polling import wait_until

CONSUL = "127.0.0.1:8500"
PREFIX = "VAULT_REDIRECTOR_"


def start(binary, *arguments, **environment):
    return subprocess.run(
        [binary, "--check-config", *map(str, arguments), CONSUL], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60,
        env={PREFIX + "PORT": "0", **{name: str(value) for name, value in environment.items()}})


@pytest.mark.parametrize("name", ["CLIENT_CA", "ALLOW_TARGET", "PORT", "HTTPS", "PROXY_PROTOCOL_FROM"])
def test_a_variable_that_is_set_and_empty_is_wrong_use(binary, name):
    done = start(binary, **{PREFIX + name: ""})
    assert done.returncode == 64
    [line] = done.stderr.splitlines()
    assert line == f"vault-redirector: {PREFIX}{name}: is set, and empty: give it a value, or unset it"


@pytest.mark.parametrize("name", [
    "CLIENT_CERT_CA", "PORTS", "", "client_ca", "PORT_443_TCP_ADDRESS", "PORT_x_TCP", "SERVICE_HOSTS"])
def test_a_variable_of_no_option_is_wrong_use(binary, name):
    done = start(binary, **{PREFIX + name: "x"})
    assert done.returncode == 64
    [line] = done.stderr.splitlines()
    assert line == f"vault-redirector: {PREFIX}{name}: no option has this name; --help lists them"


def test_what_kubernetes_sets_for_a_service_of_this_name_is_no_option(binary):
    done = start(binary, **{
        PREFIX + name: value for name, value in {
            "SERVICE_HOST": "10.0.0.1", "SERVICE_PORT": "443", "SERVICE_PORT_HTTPS": "443",
            "PORT": "tcp://10.0.0.1:443", "PORT_443_TCP": "tcp://10.0.0.1:443",
            "PORT_443_TCP_PROTO": "tcp", "PORT_443_TCP_PORT": "443",
            "PORT_443_TCP_ADDR": "10.0.0.1", "PORT_53_UDP_ADDR": "10.0.0.1"}.items()})
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("ciphers", [
    "ECDHE-RSA-AES128-GCM-SHA256:@SECLEVEL=1", "DEFAULT:@SECLEVEL=0", "ALL:aNULL:@SECLEVEL=0",
    "ECDHE-RSA-AES128-GCM-SHA256:eNULL:@SECLEVEL=0"])
def test_ciphers_below_level_2_are_refused(binary, certificates, ciphers):
    done = start(
        binary, "-S", "-c", certificates.chain, "-k", certificates.key, "--tls-ciphers", ciphers)
    assert done.returncode == 78
    assert f"error: --tls-ciphers: `{ciphers}` asks for less than security level 2" in done.stdout


def test_a_stricter_level_of_the_system_stays(binary, certificates, tmp_path):
    """At level 3 a key of RSA-2048 is too weak, wherever the level was set."""
    settings = tmp_path / "openssl.cnf"
    settings.write_text(
        "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\n"
        "CipherString = DEFAULT:@SECLEVEL=3\n")
    key, chain = tmp_path / "rsa.key", tmp_path / "rsa.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=a", "-days", "9",
         "-keyout", key, "-out", chain], check=True, capture_output=True)
    words = ("-S", "-c", chain, "-k", key)
    assert start(binary, *words).returncode == 0
    done = start(binary, *words, OPENSSL_CONF=settings)
    assert done.returncode == 78
    assert "is too weak" in done.stdout


def test_vaults_files_are_read_only_where_vault_is_asked(binary):
    names = ["VAULT_CACERT", "VAULT_CAPATH", "BAO_CACERT"]
    missing = {name: "/missing" for name in names}
    assert start(binary, **missing).returncode == 0
    done = start(binary, "--verify-target", "-S", **missing)
    assert done.returncode == 78
    assert "/missing" in done.stdout


RAISE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdint.h>
/* The program's first call of OpenSSL is made as early as anything it does. */
int OPENSSL_init_crypto(uint64_t options, const void *settings) {
  static int once;
  if (!once++) { raise(SIGHUP); raise(SIGUSR1); raise(SIGUSR2); }
  int (*next)(uint64_t, const void *) = dlsym(RTLD_NEXT, "OPENSSL_init_crypto");
  return next(options, settings);
}
"""


def test_a_reload_asked_for_during_the_start_ends_nobody(redirector, tmp_path):
    source, library = tmp_path / "raise.c", tmp_path / "raise.so"
    source.write_text(RAISE)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    run = redirector(CONSUL, environment={"LD_PRELOAD": str(library)})
    # The signals of the start are read once it serves: the log goes off and on, or on and off.
    wait_until("the signals to be read", lambda: not pending(run.pid), seconds=60)
    run.signal(signal.SIGTERM)
    assert run.wait() == 0


def pending(pid):
    """Of the signals that the process has coming, those that it reads."""
    status = open(f"/proc/{pid}/status").read()
    masks = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigPnd", "ShdPnd"))]
    wanted = sum(1 << (number - 1) for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2))
    return any(mask & wanted for mask in masks)

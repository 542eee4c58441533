"""Whatever is wrong with the options or their files: one line, an exit code of sysexits.h, no prompt, no secret."""

import os
import pty
import select
import signal
import socket
import subprocess

import pytest

CONSUL = "127.0.0.1:8500"
SECRET = "hvs.SECRET"

USAGE = [
    ([], "CONSUL_HOST_PORT"),
    ([CONSUL, "more"], "more"),
    (["ftp://127.0.0.1"], "CONSUL_HOST_PORT"),
    (["--nope", CONSUL], "--nope"),
    ([CONSUL, "--port"], "--port"),
    ([CONSUL, "--port", "http"], "--port"),
    ([CONSUL, "--port", "65536"], "--port"),
    ([CONSUL, "-P", "-1"], "-P"),
    ([CONSUL, "--poll-interval", "0"], "--poll-interval"),
    ([CONSUL, "--poll-interval", "soon"], "--poll-interval"),
    ([CONSUL, "--bind", "localhost"], "--bind"),
    ([CONSUL, "--workers", "0"], "--workers"),
    ([CONSUL, "--cert-path", "x"], "--cert-path"),
    ([CONSUL, "--key-path", "x"], "--key-path"),
    ([CONSUL, "--service", ""], "--service"),
    ([CONSUL, "--target", "name"], "--target"),
    ([CONSUL, "--target", "ip", "--ip"], "--target"),
    ([CONSUL, "--proxy-protocol", "v3"], "--proxy-protocol"),
    ([CONSUL, "--proxy-protocol", "v1"], "--proxy-protocol-from"),
    ([CONSUL, "--proxy-protocol-from", "10.0.0.0/8"], "--proxy-protocol-from"),
    ([CONSUL, "--proxy-protocol", "v1", "--proxy-protocol-from", "10/8"], "--proxy-protocol-from"),
    ([CONSUL, "--admin", "9090"], "--admin"),
    ([CONSUL, "--admin", "0.0.0.0:0"], "--admin"),
    ([CONSUL, "--admin", "[::]:0"], "--admin"),
    ([CONSUL, "--access-log", "loud"], "--access-log"),
    ([CONSUL, "--log-path", "query"], "--log-path"),
    ([CONSUL, "--backlog", "0"], "--backlog"),
    ([CONSUL, "--backlog", "-1"], "--backlog"),
    ([CONSUL, "--backlog", "x"], "--backlog"),
    ([CONSUL, "--max-connections", "0"], "--max-connections"),
    ([CONSUL, "--max-connections", "99999999"], "--max-connections"),
    ([CONSUL, "--max-connections-per-ip", "-1"], "--max-connections-per-ip"),
    ([CONSUL, "--max-requests-per-connection", "-1"], "--max-requests-per-connection"),
    ([CONSUL, "--max-request-line", "1"], "--max-request-line"),
    ([CONSUL, "--max-head", "1"], "--max-head"),
    ([CONSUL, "--max-fields", "0"], "--max-fields"),
    ([CONSUL, "--max-body", "-1"], "--max-body"),
    ([CONSUL, "--body-timeout", "0"], "--body-timeout"),
    ([CONSUL, "--head-timeout", "nan"], "--head-timeout"),
    ([CONSUL, "--handshake-timeout", "inf"], "--handshake-timeout"),
    ([CONSUL, "--proxy-header-timeout", "-3"], "--proxy-header-timeout"),
    ([CONSUL, "--keep-alive-timeout", "1e9"], "--keep-alive-timeout"),
    ([CONSUL, "--write-timeout", ""], "--write-timeout"),
    ([CONSUL, "--linger-timeout", "0.01"], "--linger-timeout"),
    ([CONSUL, "--shutdown-timeout", "x"], "--shutdown-timeout"),
    (["--vault-addr", "https://127.0.0.1:8200", CONSUL], "--vault-addr"),
    (["--vault-addr", "127.0.0.1:8200"], "--vault-addr"),
    (["--vault-addr", f"https://user:{SECRET}@127.0.0.1:8200"], "--vault-addr"),
    ([f"https://user:{SECRET}@127.0.0.1:8500"], "CONSUL_HOST_PORT"),
    ([f"http://127.0.0.1:8500/?token={SECRET}"], "CONSUL_HOST_PORT"),
    ([f"http://127.0.0.1:8500/#{SECRET}"], "CONSUL_HOST_PORT"),
    ([f"http://user:a?{SECRET}@127.0.0.1:8500/?b=@{SECRET}"], "CONSUL_HOST_PORT"),
    (["--vault-addr", f"https://127.0.0.1:8200?token={SECRET}"], "--vault-addr"),
    ([CONSUL, "--probe-interval", "0"], "--probe-interval"),
    ([CONSUL, "--probe-timeout", "-1"], "--probe-timeout"),
]

UNREADABLE = [
    (["-S", "-c", "{missing}", "-k", "{key}", CONSUL], "--cert-path"),
    (["-S", "-c", "{chain}", "-k", "{missing}", CONSUL], "--key-path"),
    (["-S", "-c", "{directory}", "-k", "{key}", CONSUL], "--cert-path"),
    (["--vault-addr", "https://127.0.0.1:1", "--vault-cacert", "{missing}"], "--vault-cacert"),
]

UNFIT = [
    (["-S", "-c", "{chain}", "-k", "{rsa_key}", CONSUL], "--key-path"),
    (["-S", "-c", "{chain}", "-k", "{encrypted}", CONSUL], "--key-path"),
    (["-S", "-c", "{chain}", "-k", "{chain}", CONSUL], "--key-path"),
    (["-S", "-c", "{key}", "-k", "{key}", CONSUL], "--cert-path"),
    (["-S", "-c", "{garbage}", "-k", "{key}", CONSUL], "--cert-path"),
    (["-S", "-c", "{chain}", "-k", "{garbage}", CONSUL], "--key-path"),
    (["-c", "{chain}", "-k", "{key}", CONSUL], "--allow-downgrade"),
    (["-c", "{chain}", "-k", "{key}", "--vault-addr", "http://127.0.0.1:1"], "--allow-downgrade"),
    (["--vault-addr", "https://127.0.0.1:1", "--vault-cacert", "{key}"], "--vault-cacert"),
    (["--vault-addr", "https://127.0.0.1:1", "--vault-cacert", "{garbage}"], "--vault-cacert"),
]

CANNOT_BIND = [
    (["--bind", "192.0.2.1", CONSUL], "--bind"),
    (["--bind", "127.0.0.1", "-P", "{taken}", CONSUL], "--port"),
    (["--bind", "127.0.0.1", "-P", "0", "--admin", "127.0.0.1:{taken}", CONSUL], "--admin"),
]

TABLE = [
    pytest.param(code, arguments, flag, id=f"{code}-{' '.join(arguments) or 'nothing'}")
    for code, rows in ((64, USAGE), (66, UNREADABLE), (78, UNFIT), (71, CANNOT_BIND))
    for arguments, flag in rows
]


@pytest.fixture(scope="module")
def words(certificates, tmp_path_factory):
    """What stands for a name in braces in the table."""
    directory = tmp_path_factory.mktemp("wrong-use")
    encrypted, garbage = directory / "encrypted.pem", directory / "garbage.pem"
    subprocess.run(
        ["openssl", "ec", "-in", certificates.key, "-aes256", "-passout", f"pass:{SECRET}",
         "-out", encrypted], check=True, stderr=subprocess.DEVNULL)
    garbage.write_text(
        f"-----BEGIN CERTIFICATE-----\n{SECRET}\n-----END CERTIFICATE-----\n"
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n")
    return {
        "chain": certificates.chain, "key": certificates.key, "rsa_key": certificates.rsa_key,
        "encrypted": encrypted, "garbage": garbage, "directory": directory,
        "missing": directory / "missing.pem",
    }


@pytest.fixture(scope="module")
def taken():
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def check(line, flag):
    assert line.startswith("vault-redirector: ") and len(line) < 300
    assert flag in line
    assert SECRET not in line


@pytest.mark.parametrize(("code", "arguments", "flag"), TABLE)
def test_wrong_use(binary, words, taken, code, arguments, flag):
    named = [word.format(**words, taken=taken) for word in arguments]
    done = subprocess.run(
        [binary, *named], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        env={"VAULT_REDIRECTOR_PORT": "0"})
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    check(line, flag)


def test_an_encrypted_key_is_refused_on_a_terminal_without_a_prompt(binary, words, certificates):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(binary, [
            binary, "-S", "-c", str(certificates.chain), "-k", str(words["encrypted"]), CONSUL])
    output = b""
    while select.select([terminal], [], [], 60)[0]:
        try:
            output += os.read(terminal, 65536)
        except OSError:  # EIO: nobody has the other side open any more.
            break
    else:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 78, output
    [line] = output.decode().splitlines()
    check(line, "--key-path")


def test_a_secret_in_the_environment_is_never_shown(binary):
    done = subprocess.run(
        [binary, "-vv", "127.0.0.1:8500", "--bind", "192.0.2.1"], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, env={"CONSUL_HTTP_TOKEN": SECRET})
    assert done.returncode == 71
    assert SECRET not in done.stdout + done.stderr

"""A file for TLS that is missing, empty, cut off, weak or of something else: one line with option, file and reason.

test_wrong_use_is_one_line_that_names_the_flag has the commonest ones, and the prompt that never comes.
"""

import os
import subprocess

import pytest

from harness.authority import Authority, join

CONSUL = "127.0.0.1:8500"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """What stands for a name in braces in the table."""
    directory = tmp_path_factory.mktemp("unfit")
    root = Authority(directory / "root")
    good, second = root.issue(), root.issue()
    weak = root.issue(kind=("rsa:1024",))
    halves = []
    for path in (good.certificate, good.key):
        content = path.read_bytes()
        halves.append(directory / f"half-{path.name}")
        halves[-1].write_bytes(content[: len(content) // 2])
    os.mkfifo(directory / "fifo")
    (directory / "empty.pem").write_text(" \n\n")
    (directory / "large.pem").write_bytes(b"x" * (2 << 20))
    return {
        "chain": join(directory / "chain.pem", good.certificate, root.certificate), "key": good.key,
        "reversed": join(directory / "reversed.pem", root.certificate, good.certificate),
        "half": halves[0], "half_key": halves[1], "empty": directory / "empty.pem",
        "large": directory / "large.pem", "second": second.certificate,
        "second_key": second.key, "weak": weak.certificate, "weak_key": weak.key,
        "ca": root.certificate, "missing": directory / "missing.pem", "directory": directory,
        "names": Authority(directory / "names", "Many" + 900 * f"/OU={'x' * 64}").certificate,
        "list": root.revocation_list(), "fifo": directory / "fifo", "device": "/dev/zero",
    }


# The exit code, what comes besides a good pair (or instead, where it begins with -c), the option, the file, the words.
TABLE = [
    (66, "-c {missing} -k {key}", "--cert-path", "missing", "cannot be read: No such file"),
    (66, "-c {chain} -k {directory}", "--key-path", "directory", "is a directory and not a regular file"),
    (66, "-c {fifo} -k {key}", "--cert-path", "fifo", "is a FIFO and not a regular file"),
    (66, "-c {chain} -k {fifo}", "--key-path", "fifo", "is a FIFO and not a regular file"),
    (66, "--client-ca {fifo}", "--client-ca", "fifo", "is a FIFO and not a regular file"),
    (66, "--client-ca {ca} --client-crl {fifo}", "--client-crl", "fifo", "is a FIFO"),
    (66, "--ticket-key-file {fifo}", "--ticket-key-file", "fifo", "is a FIFO"),
    (66, "-c {chain} -k {device}", "--key-path", "device", "is a device and not a regular file"),
    (66, "--client-ca {missing}", "--client-ca", "missing", "cannot be read: No such file"),
    (66, "--client-ca {ca} --client-crl {missing}", "--client-crl", "missing", "cannot be read"),
    (66, "--ticket-key-file {missing}", "--ticket-key-file", "missing", "cannot be read"),
    (78, "-c {empty} -k {key}", "--cert-path", "empty", "is empty"),
    (78, "-c {chain} -k {empty}", "--key-path", "empty", "is empty"),
    (78, "-c {half} -k {key}", "--cert-path", "half", "is damaged"),
    (78, "-c {chain} -k {half_key}", "--key-path", "half_key", "is damaged"),
    (78, "-c {large} -k {key}", "--cert-path", "large", "is larger than any file of its kind: more than 1048576 bytes"),
    (78, "-c {reversed} -k {key}", "--cert-path", "reversed", "must come first"),
    (78, "-c {chain} -k {second_key}", "--key-path", "second_key", "is not the key of the first"),
    (78, "-c {weak} -k {weak_key}", "--cert-path", "weak", "is too weak"),
    (78, "-c {chain} -k {key} -c {second} -k {second_key}", "--key-path", "second_key",
     "has a key of the same type"),
    (78, "--client-ca {second_key}", "--client-ca", "second_key", "holds no PEM certificate"),
    (78, "--client-ca {empty}", "--client-ca", "empty", "is empty"),
    (78, "--client-ca {names}", "--client-ca", "names", "the names in it take 67"),
    (78, "--client-ca {ca} --client-crl {ca}", "--client-ca, --client-crl", "ca",
     "holds no PEM revocation list"),
    (78, "--ticket-key-file {second_key}", "--ticket-key-file", "second_key",
     "line 1: not base64"),
]


def test_a_token_file_that_is_a_fifo(binary, files):
    done = subprocess.run(
        [binary, "-S", CONSUL], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        env={"CONSUL_HTTP_TOKEN_FILE": str(files["fifo"]), "VAULT_REDIRECTOR_PORT": "0"})
    assert done.returncode == 66
    [line] = done.stderr.splitlines()
    assert line.endswith(f"cannot read {files['fifo']}: it is a FIFO, not a regular file")


@pytest.mark.parametrize("checks", [False, True], ids=["start", "check"])
@pytest.mark.parametrize(("code", "given", "option", "file", "words"), TABLE)
def test_an_unfit_file(binary, files, code, given, option, file, words, checks):
    pair = [] if given.startswith("-c") else ["-c", files["chain"], "-k", files["key"]]
    arguments = [*pair, *given.format(**files).split()]
    command = [binary, "-S", *(["--check-config"] if checks else []), *arguments, CONSUL]
    done = subprocess.run(
        [str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=60, env={"VAULT_REDIRECTOR_PORT": "0"})
    assert done.returncode == (78 if checks else code)
    [line] = (done.stdout + done.stderr).splitlines()
    start = "error" if checks else "vault-redirector"
    named = f"{start}: {option}: {files[file]}: "
    assert line.startswith(named)
    assert f"{files[file]}: " in line and words in line

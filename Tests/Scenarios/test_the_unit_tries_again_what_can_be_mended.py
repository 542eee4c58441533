"""The systemd unit judges its options, does not start again and again with those that can never work, and hides nothing we need."""

import pathlib
import re
import shlex
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNIT = (ROOT / "scripts/systemd/vault-redirector.service").read_text()


def values(name: str) -> list[str]:
    """The values of a setting, in the unit's order, with its options filled in."""
    found = re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)
    options = re.search(r'^Environment="OPTIONS=(.*)"$', UNIT, re.MULTILINE)
    return [value.replace("$OPTIONS", options[1]) for value in found] if options else found


def value(name: str) -> str:
    [found] = values(name)
    return found


def run(command: str, binary, directory: pathlib.Path, *more: str) -> int:
    """The exit code of a command of the unit, with what is /etc/vault-redirector there in a directory."""
    _, *words = shlex.split(command.replace("/etc/vault-redirector", str(directory)))
    return subprocess.run(
        [binary, *words, *more], stdin=subprocess.DEVNULL, capture_output=True, timeout=60).returncode


@pytest.fixture
def directory(tmp_path, certificates):
    for name, path in (("chain.pem", certificates.chain), ("key.pem", certificates.key)):
        (tmp_path / name).symlink_to(path)
    return tmp_path


def test_the_options_are_judged_before_a_start(binary, directory):
    before = value("ExecStartPre")
    assert "--check-config" in before
    assert before.replace("--check-config ", "").lstrip("-") == value("ExecStart")
    assert run(before, binary, directory) == 0
    (directory / "key.pem").unlink()
    assert run(before, binary, directory) == 78


# What nobody can mend by trying again, and what the program ends with then.
HOPELESS = {
    "wrong use": (64, lambda directory: None, ["--no-such-option"]),
    "a missing file": (66, lambda directory: (directory / "key.pem").unlink(), []),
    "an unfit file": (78, lambda directory: swap(directory, "key.pem", "nothing"), []),
}


def swap(directory: pathlib.Path, name: str, content: str):
    (directory / name).unlink()
    (directory / name).write_text(content)


@pytest.mark.parametrize("why", HOPELESS)
def test_what_can_never_start_is_not_tried_again(binary, directory, why):
    code, spoil, more = HOPELESS[why]
    spoil(directory)
    assert run(value("ExecStart"), binary, directory, *more) == code
    assert str(code) in value("RestartPreventExitStatus").split()
    # The exit codes of the main process count for that, and of no other (systemd.service(5)): where a command before it
    # failed the start, that would be tried again each second for ever. So it only tells, and the start itself fails.
    assert value("Restart") == "always" and value("StartLimitIntervalSec") == "0"
    assert all(command.startswith("-") for command in values("ExecStartPre"))


def test_it_leaves_no_core_and_knows_this_machines_addresses():
    assert value("LimitCORE") == "0"
    assert {"AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"} == set(value("RestrictAddressFamilies").split())

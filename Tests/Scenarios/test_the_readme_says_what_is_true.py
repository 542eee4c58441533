"""Every command in the README runs, every flag it names exists, and every flag that exists is named."""

import json
import os
import pathlib
import re
import shlex
import subprocess

import pytest

from harness.http import Connection

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
UNIT = (ROOT / "scripts/systemd/vault-redirector.service").read_text()


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def exec_start() -> str:
    options = re.search(r'^Environment="OPTIONS=(.*)"$', UNIT, re.MULTILINE)[1]
    return re.search(r"^ExecStart=(.*)$", UNIT, re.MULTILINE)[1].replace("$OPTIONS", options)


def flags(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))


@pytest.fixture(scope="module")
def help_text(binary: str) -> str:
    return subprocess.run([binary, "--help"], capture_output=True, text=True, check=True).stdout


def test_there_are_commands():
    assert {"scripts/demo", "scripts/test"} <= set(commands())
    assert sum(command.startswith("vault-redirector ") for command in commands()) >= 2


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("scripts/")])
def test_a_script_is_there_and_can_be_run(command):
    assert os.access(ROOT / shlex.split(command)[0], os.X_OK)


@pytest.mark.parametrize(
    "command", [c for c in commands() if c.startswith("vault-redirector ")] + [exec_start()])
def test_a_command_line_is_accepted(binary, certificates, tmp_path, command):
    certs = tmp_path / "certs"
    certs.mkdir()
    for name, path in (
        ("chain.pem", certificates.chain), ("key.pem", certificates.key), ("ca.pem", certificates.ca)
    ):
        (certs / name).symlink_to(path)
    words = [word.replace("/etc/vault-redirector/", "certs/") for word in shlex.split(command)[1:]]
    run = subprocess.run(
        [binary, *words, "--check-config"], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_readme_has_every_flag_and_no_other(help_text):
    tables = "".join(line for line in README.splitlines(True) if line.startswith("| `-"))
    assert flags(help_text) == flags(tables)
    ours = re.sub(r"(?m)^.*scripts/.*$", "", README)
    assert flags(ours) - flags(help_text) <= {"--keep", "--sanitize"}


def test_health_has_the_keys_that_the_readme_names(serving):
    sentence = re.search(r"The body has (.*?)\.\n", README, re.DOTALL)[1]
    run = serving(tls=False)
    with Connection(run.port) as client:
        body = json.loads(client.request("GET", "/vault-redirector-health").body)
    named = set(re.findall(r"`(\w+)`", sentence))
    assert named and named <= set(body)
    assert set(body) <= named

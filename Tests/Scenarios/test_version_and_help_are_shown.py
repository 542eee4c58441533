"""--version and --help: on standard output, exit 0, whatever else is on the command line."""

import re
import subprocess

import pytest


def show(binary, *arguments):
    done = subprocess.run([binary, *arguments], capture_output=True, text=True, timeout=60, env={})
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("arguments", [("-V",), ("--version",), ("-S", "--version", "127.0.0.1:1")])
def test_version(binary, arguments):
    first, source, built = show(binary, *arguments).splitlines()
    assert re.fullmatch(r"vault-redirector \d+\.\d+\.\d+", first)
    assert re.fullmatch(r"source: https://\S+", source)
    assert re.fullmatch(r"built with Swift \d+\.\d+\S*, running with OpenSSL 3\.\d+\.\d+ .*", built)


@pytest.mark.parametrize("arguments", [("-h",), ("--help",), ("-vv", "--help")])
def test_help(binary, arguments):
    text = show(binary, *arguments)
    for flag in ("-P, --port <number>", "-S, --https", "--vault-addr <url>", "<CONSUL_HOST_PORT>"):
        assert flag in text
    assert all(len(line) <= 80 for line in text.splitlines())

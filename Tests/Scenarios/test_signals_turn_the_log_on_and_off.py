"""-l logs nothing after set-up until SIGUSR1; SIGUSR2 disables again. The redirect does not care."""

import signal

from harness.polling import wait_until


def answered(dial, run, path):
    """A request that would leave a line, answered."""
    with dial(run) as connection:
        assert connection.request("GET", path).status == 307


def test_a_log_disabled_from_the_start(redirector, dial, vault, certificates):
    run = redirector(
        "-l", "--access-log", "on", "--bind", "127.0.0.1", "--vault-addr", vault.origin,
        "--vault-cacert", certificates.ca, listeners=1)
    before = vault.requests
    said = run.wait_for_line("logging is disabled; SIGUSR1 enables it")
    assert f"pid={run.pid}" in said
    # The second question comes after the first answer.
    wait_until("the node to be known", lambda: vault.requests >= before + 2)
    answered(dial, run, "/silent")

    run.signal(signal.SIGUSR1)
    run.wait_for_line("logging enabled; SIGUSR2 disables it")
    answered(dial, run, "/heard")
    run.wait_for_line("path=/heard")

    run.signal(signal.SIGUSR2)
    run.wait_for_line("logging disabled; SIGUSR1 enables it")
    answered(dial, run, "/silent-again")

    said = len(run.lines)
    run.signal(signal.SIGUSR1)
    run.wait_for_line("logging enabled", after=said)
    answered(dial, run, "/heard-again")
    run.wait_for_line("path=/heard-again")
    assert not [line for line in run.lines if "silent" in line]


def test_sigusr1_before_anything_was_disabled_is_harmless(serving, dial):
    run = serving("--access-log", "on")
    run.signal(signal.SIGUSR1)
    run.wait_for_line("logging enabled")
    answered(dial, run, "/heard")
    run.wait_for_line("path=/heard")
    assert run.stop() == 0

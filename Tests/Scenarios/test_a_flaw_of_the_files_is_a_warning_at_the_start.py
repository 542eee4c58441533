"""What clients may refuse, or others may read, is told at the start by file and reason, and served all the same."""

import datetime

import pytest

from harness.authority import NAMELESS, Authority, join
from harness.tls import leaf, leaf_of, client_context

DAYS = datetime.timedelta(days=1)


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    directory = tmp_path_factory.mktemp("flaws")
    root = Authority(directory / "root")
    return root, Authority(directory / "between", "Between", issuer=root)


# The options of the leaf, the parts after it in the file, the mode of the key, and the words.
FLAWS = {
    "order": ({}, ("root", "between"), 0o600, "the chain is out of order"),
    "intermediate": ({}, (), 0o600, "the issuer of `CN=localhost` is missing, `CN=Between`"),
    "future": (
        {"start": DAYS, "end": 9 * DAYS}, ("between",), 0o600, "`CN=localhost` is not valid before "),
    "name": ({"extensions": NAMELESS}, ("between",), 0o600, "no subject alternative name"),
    "key": ({}, ("between",), 0o644, "a secret everyone can reach (mode 0644): chmod 0600"),
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_flaw(serving, pki, tmp_path, flaw):
    options, parts, mode, words = FLAWS[flaw]
    root, between = pki
    files = {"root": root.certificate, "between": between.certificate}
    pair = between.issue(**options)
    chain = join(tmp_path / "chain.pem", pair.certificate, *(files[part] for part in parts))
    pair.key.chmod(mode)
    run = serving("-c", chain, "-k", pair.key, tls=False)
    path = pair.key if flaw == "key" else chain
    line = run.wait_for_line(lambda line: f"{path}: " in line and words in line)
    assert "level=warning" in line
    # That is all there is to say, but of an end that has come.
    told = [line for line in run.lines if f"{tmp_path}" in line or f"{pair.key}" in line]
    assert told == [line]
    context = client_context(root.certificate)
    context.check_hostname = False
    context.verify_mode = 0
    assert leaf(run, context) == leaf_of(chain)


def test_files_without_a_flaw_are_no_warning(serving, pki, tmp_path):
    root, between = pki
    pair = between.issue()
    chain = join(tmp_path / "chain.pem", pair.certificate, between.certificate)
    run = serving("-c", chain, "-k", pair.key, tls=False)
    assert leaf(run, client_context(root.certificate)) == leaf_of(chain)
    run.stop()
    warnings = [line for line in run.lines if "level=warning" in line]
    assert [line for line in warnings if "active vault node changed" not in line] == []

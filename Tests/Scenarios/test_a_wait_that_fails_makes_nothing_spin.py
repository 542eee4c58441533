"""libcurl cannot wait for answers (no memory, no descriptors): discovery looks for them now and then, and says so once."""

import subprocess

import pytest

from harness.polling import wait_until
from harness.vault import StandInVault

FAILS = r"""
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* CURLM_OUT_OF_MEMORY, and a byte for each call. */
int curl_multi_poll(void *multi, void *sockets, unsigned count, int timeout, int *ready) {
    static int file = -1;
    (void)multi, (void)sockets, (void)count, (void)timeout, (void)ready;
    if (file < 0) file = open(getenv("CALLS"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (write(file, ".", 1) < 0) abort();
    return 3;
}
"""


@pytest.fixture
def failing(tmp_path) -> dict[str, str]:
    (tmp_path / "fails.c").write_text(FAILS)
    library = tmp_path / "fails.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, tmp_path / "fails.c"], check=True)
    return {"LD_PRELOAD": str(library), "CALLS": str(tmp_path / "calls")}


def test_it_goes_on_and_does_not_spin(redirector, certificates, tmp_path, failing):
    with StandInVault(certificates, status=429) as vault:
        run = redirector(
            "--bind", "127.0.0.1", "--vault-addr", vault.origin, "--vault-cacert", certificates.ca,
            environment=failing)
        run.wait_for_line("discovery cannot wait for answers")
        wait_until("probes", lambda: vault.requests >= 10)
        vault.status = 200
        run.wait_for_line("active vault node changed")
        assert len([line for line in run.lines if "cannot wait for answers" in line]) == 1
        # Without a pause there would be hundreds of thousands.
        assert (tmp_path / "calls").stat().st_size < 20 * vault.requests + 1000

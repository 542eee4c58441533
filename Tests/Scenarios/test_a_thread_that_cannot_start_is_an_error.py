"""Where the system has no room for one of its threads, the program says so in a line and ends: it does not run without. One that
looks a name up is none of these."""

import subprocess

import pytest

CONSUL = "127.0.0.1:8500"

# What pthread_create(3) says where a limit of threads is reached (RLIMIT_NPROC, pids.max).
REFUSE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
int pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*body)(void *), void *argument) {
  static int calls, callers;
  char name[16] = "";
  const char *caller = getenv("REFUSED_TO");
  prctl(PR_GET_NAME, name);
  int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) =
      dlsym(RTLD_NEXT, "pthread_create");
  /* The first that this thread asks for. */
  if (caller && strcmp(name, caller) == 0 && callers++ == 0) return EAGAIN;
  return calls++ == atoi(getenv("REFUSED")) ? EAGAIN : next(thread, how, body, argument);
}
"""


@pytest.fixture(scope="module")
def refusing(tmp_path_factory) -> str:
    directory = tmp_path_factory.mktemp("refusing")
    (directory / "refuse.c").write_text(REFUSE)
    library = directory / "refuse.so"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-o", library, directory / "refuse.c", "-ldl"], check=True)
    return str(library)


# The first is the log's; then the one that asks Consul, and the worker.
@pytest.mark.parametrize(("refused", "what"), [(0, "log"), (1, "threads"), (2, "threads")])
def test_a_thread_that_cannot_start(binary, refusing, refused, what):
    done = subprocess.run(
        [binary, "-P", "0", "--bind", "127.0.0.1", "--workers", "1", CONSUL],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        env={"LD_PRELOAD": refusing, "REFUSED": str(refused)})
    assert done.returncode == 71
    lines = [line for line in done.stderr.splitlines() if line.startswith("vault-redirector: ")]
    assert lines == [
        f"vault-redirector: {what}: pthread_create: Resource temporarily unavailable"]


def test_a_lookup_is_tried_again(redirector, refusing, certificates, vault):
    run = redirector(
        "--vault-addr", f"https://localhost:{vault.port}", "--vault-cacert", certificates.ca,
        environment={"LD_PRELOAD": refusing, "REFUSED": "-1", "REFUSED_TO": "discovery"})
    line = run.wait_for_line("a vault node's name cannot be looked up")
    assert "localhost: pthread_create: Resource temporarily unavailable" in line
    run.wait_for_line(f"to=https://localhost:{vault.port}")

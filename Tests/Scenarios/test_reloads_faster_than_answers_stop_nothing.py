"""SIGHUP asks everybody again and gives up what was asked: where it comes faster than answers, they must be heard all the same."""

import contextlib
import signal
import threading
import time

from harness.consul import StandInConsul, entry
from harness.http import Connection
from harness.polling import wait_until
from harness.vault import StandInVault

ANSWER_AFTER = 0.3
RELOAD_AFTER = 0.1


class SlowVault(StandInVault):
    """It takes a while to say what it is."""

    @property
    def status(self) -> int:
        time.sleep(ANSWER_AFTER)
        return self._status

    @status.setter
    def status(self, status: int):
        self._status = status


@contextlib.contextmanager
def reloads(run):
    """SIGHUP all the time."""
    is_over = threading.Event()

    def signals():
        while not is_over.wait(RELOAD_AFTER):
            run.signal(signal.SIGHUP)

    thread = threading.Thread(target=signals)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def leads_to(run, origin: str) -> bool:
    with Connection(run.port) as connection:
        response = connection.request("GET", "/v1/x")
        return response.status == 307 and response["Location"] == f"{origin}/v1/x"


def test_a_failover_among_nodes_is_followed(redirector, certificates):
    with SlowVault(certificates, 200) as first, SlowVault(certificates, 429) as second:
        run = redirector(
            "--bind", "127.0.0.1", "--vault-addr", first.origin, "--vault-addr", second.origin,
            "--vault-cacert", certificates.ca)
        wait_until("the first node", lambda: leads_to(run, first.origin))
        with reloads(run):
            first.status, second.status = 429, 200
            wait_until("the second node", lambda: leads_to(run, second.origin))


def test_consul_is_heard(redirector):
    with StandInConsul() as consul:
        consul.set([entry("vault-a")])
        run = redirector("--bind", "127.0.0.1", "--stale-limit", "5", consul.address)
        wait_until("the first node", lambda: leads_to(run, "http://vault-a:8200"))
        consul.delay = ANSWER_AFTER
        with reloads(run):
            count = len(consul.requests)
            wait_until("questions given up", lambda: len(consul.requests) > count + 2)
            consul.set([entry("vault-b")])
            wait_until("the second node", lambda: leads_to(run, "http://vault-b:8200"))

"""Two nodes take turns as fast as they are probed, under load: every Location is one of theirs, whole."""

import collections
import os
import threading
import time

from harness.http import Connection
from harness.metrics import scrape
from harness.polling import wait_until
from harness.vault import StandInVault

CHANGES = 2000 if os.environ.get("REDIRECTOR_SLOW_TESTS") == "1" else 200
PIPELINED = 20
REQUESTS = b"".join(
    f"GET /v1/{number} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() for number in range(PIPELINED))


class Load(threading.Thread):
    """Pipelines requests on one connection, and counts what the answers are."""

    def __init__(self, port: int):
        super().__init__(daemon=True)
        self.port, self.stopping = port, threading.Event()
        self.answers = collections.Counter()
        self.failure: BaseException | None = None

    def run(self):
        try:
            with Connection(self.port, seconds=60) as connection:
                while not self.stopping.is_set():
                    connection.send(REQUESTS)
                    for number in range(PIPELINED):
                        response = connection.response()
                        location = dict(response.fields).get("Location", "")
                        suffix = f"/v1/{number}"
                        assert not location or location.endswith(suffix), location
                        self.answers[response.status, location.removesuffix(suffix)] += 1
        except BaseException as error:  # For the test to raise in its own thread.
            self.failure = error


def test_under_load(redirector, certificates, capsys):
    with StandInVault(certificates) as a, StandInVault(certificates, 503) as b:
        run = redirector(
            "--bind", "127.0.0.1", "--admin", "127.0.0.1:0", "--vault-cacert", certificates.ca,
            "--vault-addr", a.origin, "--vault-addr", b.origin, "--probe-interval", "0.05",
            listeners=2)
        loads = [Load(run.port) for _ in range(4)]
        began = time.monotonic()
        for load in loads:
            load.start()

        def take_turns() -> bool:
            for leaving, coming in ((a, b), (b, a)):
                leaving.status = 503
                time.sleep(0.01)
                coming.status = 200
                time.sleep(0.05)
            return any(load.failure for load in loads) or (
                scrape(run)("active_node_changes_total") >= CHANGES)

        wait_until(f"{CHANGES} changes", take_turns, seconds=CHANGES)
        passed = time.monotonic() - began
        changes = scrape(run)("active_node_changes_total")
        for load in loads:
            load.stopping.set()
        for load in loads:
            load.join(60)

    assert [load.failure for load in loads if load.failure] == []
    answers = sum((load.answers for load in loads), collections.Counter())
    assert set(answers) <= {(503, ""), (307, a.origin), (307, b.origin)}
    assert answers[307, a.origin] and answers[307, b.origin]
    with capsys.disabled():
        print(f"\n{sum(answers.values())} answers through {changes:.0f} changes in {passed:.0f} s")

"""A hundred certificates one after the other, RSA and ECDSA, some broken at first, while clients come and go.

No request fails, the new leaf is served each time, a session of before the first goes on, and nothing grows.
"""

import itertools
import os
import pathlib
import shutil
import signal
import threading
import time

from harness.authority import P256, RSA, Authority, Pair, join
from harness.http import Connection
from harness.metrics import scrape
from harness.polling import wait_until
from harness.tls import client_context, fetch, leaf, leaf_of, versioned

ROTATIONS = 100
# After so many rotations everything has its size.
WARM_UP = 20
# A context with its certificates is some thirty KiB: 2.2 MiB if all that are replaced were kept.
GROWTH_MAX = 1 << 20


class Volume:
    """The files as Kubernetes mounts them: links to `..data`, and that a link to a directory of this version."""

    def __init__(self, directory: pathlib.Path, pair: Pair):
        self.directory = directory
        directory.mkdir()
        self._versions = itertools.count()
        self.certificate, self.key = directory / "tls.crt", directory / "tls.key"
        self.swap(pair)
        for path in (self.certificate, self.key):
            path.symlink_to(f"..data/{path.name}")

    def swap(self, pair: Pair):
        """A new directory, and one rename of the link to it."""
        data = self.directory / "..data"
        old = data.resolve() if data.exists() else None
        version = self.directory / f"..{next(self._versions)}"
        version.mkdir()
        shutil.copy(pair.certificate, version / "tls.crt")
        shutil.copy(pair.key, version / "tls.key")
        new = self.directory / "..new"
        new.symlink_to(version.name)
        new.rename(data)
        if old:
            shutil.rmtree(old)

    def rename(self, pair: Pair):
        """One file after the other: for a moment they do not fit together."""
        for path, new in ((self.certificate, pair.certificate), (self.key, pair.key)):
            target = path.resolve()
            beside = target.with_suffix(".new")
            shutil.copy(new, beside)
            beside.rename(target)

    def rewrite(self, pair: Pair):
        """In place, in pieces: for a moment half of a file is there."""
        for path, new in ((self.certificate, pair.certificate), (self.key, pair.key)):
            content = new.read_bytes()
            with path.open("wb", buffering=0) as file:
                for start in range(0, len(content), 500):
                    file.write(content[start : start + 500])

    def halve(self, pair: Pair):
        """Half of the new certificate, and no more for now."""
        content = pair.certificate.read_bytes()
        self.certificate.write_bytes(content[: len(content) // 2])

    def mismatch(self, pair: Pair):
        """The new certificate, and no new key for now."""
        self.certificate.write_bytes(pair.certificate.read_bytes())

    def empty(self, pair: Pair):
        self.key.write_bytes(b"")

    def remove(self, pair: Pair):
        self.key.resolve().unlink()


class Load:
    """Clients on threads of their own, each with new connections and several requests on each, until `stop`."""

    def __init__(self, run, contexts):
        self.failures: list[str] = []
        self.requests = 0
        self._run = run
        self._ends = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(context,)) for context in contexts]
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._ends.set()
        for thread in self._threads:
            thread.join()

    def _work(self, context):
        while not self._ends.is_set():
            try:
                with Connection(self._run.port, tls=context, seconds=60) as connection:
                    for _ in range(3):
                        assert connection.request("PUT", "/v1/a", b"{}").status == 307
                        self.requests += 1
            except Exception as error:
                self.failures.append(repr(error))
                return


def issue(directory, root):
    """Pairs without end, ECDSA and RSA in turn, each with a certificate of its own."""
    between = Authority(directory / "between", "Between", issuer=root)
    keys = {}
    for number, kind in enumerate(itertools.cycle((P256, RSA))):
        pair = between.issue(kind=kind, key=keys.get(kind))
        keys[kind] = pair.key
        yield Pair(
            join(directory / f"{number}.pem", pair.certificate, between.certificate), pair.key)


def check_what_is_told(run, metrics, pairs):
    """Metrics and the log know the newest leaf, and the one before it."""
    assert metrics("tls_reloads_total", result="success") >= ROTATIONS
    assert metrics("tls_certificate_not_after_timestamp_seconds", serial=pairs[-1].serial) > 0
    last = [line for line in run.lines if 'msg="certificate reloaded"' in line][-1]
    assert f"serial={pairs[-1].serial}" in last and f"old_serial={pairs[-2].serial}" in last


def test_rotations(serving, tmp_path):
    root = Authority(tmp_path / "root")
    pairs = list(itertools.islice(issue(tmp_path, root), ROTATIONS + 1))
    volume = Volume(tmp_path / "volume", pairs[0])
    run = serving("-c", volume.certificate, "-k", volume.key, tls=False)
    contexts = {
        version: versioned(client_context(root.certificate), version) for version in ("1.2", "1.3")}
    newest = client_context(root.certificate)
    sessions = {version: fetch(run, context)[1] for version, context in contexts.items()}
    held = Connection(run.port, tls=newest, seconds=60)
    failures = 0
    delays = []
    ways = itertools.cycle(
        itertools.product(
            (volume.swap, volume.rename, volume.rewrite), (True, False, True)))
    breaks = itertools.cycle((volume.halve, volume.mismatch, volume.empty, volume.remove))
    requests = 0

    def break_it(number):
        """What does not fit is counted once, and changes nothing."""
        nonlocal failures
        failures = scrape(run)("tls_reloads_total", result="failure")
        before = leaf(run, newest)
        next(breaks)(pairs[number])
        if number % 2:
            run.signal(signal.SIGHUP)
        wait_until(
            "a failed reload",
            lambda: scrape(run)("tls_reloads_total", result="failure") > failures)
        assert leaf(run, newest) == before

    def rotate(number):
        if number % 7 == 0:
            break_it(number)
        replace, signals = next(ways)
        replace(pairs[number])
        start = time.monotonic()
        if signals:
            run.signal(signal.SIGHUP)
        wanted = leaf_of(pairs[number].certificate)
        wait_until(f"leaf {number}", lambda: leaf(run, newest) == wanted)
        delays.append(time.monotonic() - start)
        # A connection of before the first rotation keeps what it has.
        assert held.request("GET", "/v1/a").status == 307

    def rotate_under_load(numbers):
        """Rotates, and measures once nothing but the connection that is held is left."""
        nonlocal requests
        load = Load(run, contexts.values())
        try:
            for number in numbers:
                rotate(number)
        finally:
            load.stop()
        assert load.failures == []
        requests += load.requests
        wait_until(
            "all to be gone but the one that is held and the scrape itself",
            lambda: scrape(run)("connections_active") == 2)
        return run.descriptors(), run.memory()["Anonymous"]

    descriptors, memory = rotate_under_load(range(1, WARM_UP + 1))
    descriptors_at_end, memory_at_end = rotate_under_load(range(WARM_UP + 1, ROTATIONS + 1))
    for version, session in sessions.items():
        assert fetch(run, contexts[version], session)[2], f"a TLS {version} session of before"
    assert requests > 0
    metrics = scrape(run)
    check_what_is_told(run, metrics, pairs)
    assert descriptors_at_end == descriptors
    assert memory_at_end - memory < GROWTH_MAX
    held.__exit__()
    print(
        f"{requests} requests; the new leaf after {sorted(delays)[len(delays) // 2]:.2f} s,",
        f"{max(delays):.2f} s at most; {memory_at_end - memory:+} bytes; reloads:",
        metrics.nonzero("tls_reloads_total", "result"))

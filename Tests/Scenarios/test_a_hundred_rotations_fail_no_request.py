"""A hundred certificates one after the other, RSA and ECDSA, some broken at first, while clients come and go.

No request fails, the new leaf is served each time, a session of before the first goes on, and nothing grows.
"""

import itertools
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


class Rotations:
    """Replaces the pair of a run by the next one, in every way in turn."""

    def __init__(self, run, volume, pairs, root):
        self.run, self.volume, self.pairs = run, volume, pairs
        self.contexts = [
            versioned(client_context(root.certificate), version) for version in ("1.2", "1.3")]
        self.requests, self.delays = 0, []
        self._newest = client_context(root.certificate)
        self._held = Connection(run.port, tls=self._newest, seconds=60)
        self._ways = itertools.cycle(itertools.product(
            (volume.swap, volume.rename, volume.rewrite), (True, False, True)))
        self._breaks = itertools.cycle(
            (volume.halve, volume.mismatch, volume.empty, volume.remove))

    def under_load(self, numbers) -> tuple[int, int]:
        """Rotates, and gives descriptors and bytes once all are gone but the one that is held."""
        load = Load(self.run, self.contexts)
        try:
            for number in numbers:
                if number % 7 == 0:
                    self._break(number)
                self._rotate(number)
        finally:
            load.stop()
        assert load.failures == []
        self.requests += load.requests
        # The one that is held, and the scrape itself.
        wait_until("all to be gone", lambda: scrape(self.run)("connections_active") == 2)
        wait_until("the scrape's to be gone", lambda: self.run.connections() == 1)
        return self.run.descriptors(), self.run.memory()["Anonymous"]

    def _break(self, number):
        """What does not fit is counted, and changes nothing."""
        failures = lambda: scrape(self.run)("tls_reloads_total", result="failure")
        before, served = failures(), leaf(self.run, self._newest)
        next(self._breaks)(self.pairs[number])
        if number % 2:
            self.run.signal(signal.SIGHUP)
        wait_until("a failed reload", lambda: failures() > before)
        assert leaf(self.run, self._newest) == served

    def _rotate(self, number):
        replace, signals = next(self._ways)
        replace(self.pairs[number])
        start = time.monotonic()
        if signals:
            self.run.signal(signal.SIGHUP)
        wanted = leaf_of(self.pairs[number].certificate)
        wait_until(f"leaf {number}", lambda: leaf(self.run, self._newest) == wanted)
        self.delays.append(time.monotonic() - start)
        # A connection of before the first rotation keeps what it has.
        assert self._held.request("GET", "/v1/a").status == 307


def test_rotations(serving, tmp_path):
    root = Authority(tmp_path / "root")
    pairs = list(itertools.islice(issue(tmp_path, root), ROTATIONS + 1))
    volume = Volume(tmp_path / "volume", pairs[0])
    run = serving("-c", volume.certificate, "-k", volume.key, tls=False)
    rotations = Rotations(run, volume, pairs, root)
    sessions = [fetch(run, context)[1] for context in rotations.contexts]
    descriptors, memory = rotations.under_load(range(1, WARM_UP + 1))
    _, memory_at_end = rotations.under_load(range(WARM_UP + 1, ROTATIONS + 1))
    for context, session in zip(rotations.contexts, sessions):
        assert fetch(run, context, session)[2], f"a {context.minimum_version!r} session of before"
    metrics = scrape(run)
    assert metrics("tls_reloads_total", result="success") >= ROTATIONS
    assert metrics("tls_certificate_not_after_timestamp_seconds", serial=pairs[-1].serial) > 0
    assert rotations.requests > 0
    # The first line for it: who is asked by SIGHUP as well may load it once more.
    last = run.wait_for_line(
        lambda line: 'msg="certificate reloaded"' in line and f" serial={pairs[-1].serial}" in line)
    assert f"old_serial={pairs[-2].serial}" in last
    # A probe under way has one more for a moment.
    wait_until("no more descriptors than before", lambda: run.descriptors() <= descriptors)
    assert memory_at_end - memory < GROWTH_MAX
    delays = sorted(rotations.delays)
    print(
        f"{rotations.requests} requests; the new leaf after {delays[len(delays) // 2]:.2f} s,",
        f"{delays[-1]:.2f} s at most; {memory_at_end - memory:+} bytes; reloads:",
        metrics.nonzero("tls_reloads_total", "result"))

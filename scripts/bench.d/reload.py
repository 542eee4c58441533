#!/usr/bin/env python3
"""What clients feel while a long revocation list is loaded again: their latency calm and beside it, and what it takes.

    scripts/bench.d/reload.py BINARY [--megabytes 20] [--seconds 15]

50 keep-alive clients with certificates ask every 50 ms, and another makes new connections, with a handshake each. A
SIGHUP every two seconds loads the list: each client is judged anew at its next request. It pins nothing.
"""

import argparse
import pathlib
import shutil
import signal
import ssl
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "Tests" / "Scenarios"))

import flood
from harness.authority import Authority
from harness.certs import Certificates
from harness.http import Connection
from harness.metrics import scrape
from harness.redirector import Redirector
from harness.vault import StandInVault

ENTRY_BYTES = 50  # of a revoked certificate in the list


def make_connections(port: int, context: ssl.SSLContext, seconds: float, results):
    """One after the other, until its answer is here."""
    latencies, failures = [], 0
    end = time.monotonic() + seconds
    while (start := time.monotonic()) < end:
        try:
            with Connection(port, tls=context, seconds=10) as connection:
                connection.request("GET", "/v1/x")
            latencies.append(time.monotonic() - start)
        except OSError:
            failures += 1
        time.sleep(max(0, start + flood.PERIOD - time.monotonic()))
    results.send((latencies, failures))


def measure(run: Redirector, context: ssl.SSLContext, seconds: float):
    for title in ("calm", "reloads"):
        clients = flood.Child(flood.ask, run.port, context, seconds)
        newcomers = flood.Child(make_connections, run.port, context, seconds)
        end = time.monotonic() + seconds
        while title == "reloads" and time.monotonic() < end:
            run.signal(signal.SIGHUP)
            time.sleep(2)
        flood.show(title, clients.result(seconds + flood.SPARE))
        flood.show("  new", newcomers.result(seconds + flood.SPARE))
        print(f"memory: {flood.mebibytes(run):.0f} MiB")
    print("reloads:", scrape(run).nonzero("tls_reloads_total", "result"))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--megabytes", type=float, default=20, help="of the list")
    parser.add_argument("--seconds", type=float, default=15, help="calm, and then with reloads")
    options = parser.parse_args()
    signal.alarm(int(2 * options.seconds + 6 * flood.SPARE))
    with tempfile.TemporaryDirectory() as scratch:
        directory = pathlib.Path(scratch)
        certificates = Certificates.make(directory / "certs")
        staff = Authority(directory / "staff", "Staff")
        staff.revoke_many(int(options.megabytes * 2**20 / ENTRY_BYTES) + 20_000)
        pair = staff.issue("alice", extensions="extendedKeyUsage=clientAuth\n")
        crl = shutil.copy(staff.revocation_list(), directory / "list.pem")
        print(f"list: {crl.stat().st_size / 2**20:.1f} MiB")
        context = ssl.create_default_context(cafile=certificates.ca)
        context.load_cert_chain(pair.certificate, pair.key)
        with StandInVault(certificates) as vault:
            run = Redirector(
                "--bind", "127.0.0.1", "--admin", "127.0.0.1:0", "--workers", "1", "--cert-watch", "off",
                "--vault-addr", vault.origin, "--vault-cacert", certificates.ca,
                "-c", certificates.chain, "-k", certificates.key,
                "--client-ca", staff.certificate, "--client-crl", crl,
                binary=options.binary, log=directory / "log", listeners=2)
            try:
                run.wait_for_line("active vault node changed")
                measure(run, context, options.seconds)
            finally:
                run.kill()


if __name__ == "__main__":
    main()

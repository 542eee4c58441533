"""Standard error is a pipe that nobody reads: clients are answered, what is lost is counted, and every signal works."""

import fcntl
import os
import signal
import socket
import subprocess

import pytest

from harness.http import Connection
from harness.metrics import scrape
from harness.polling import wait_until
from harness.redirector import LISTENING


class Deaf:
    """A run with a full pipe for its standard error, which is read for its ports first and then no more."""

    def __init__(self, binary, certificates, vault, *arguments):
        reading, writing = os.pipe()
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        self.process = subprocess.Popen(
            [binary, "-v", "-P", "0", "--bind", "127.0.0.1", "--admin", "127.0.0.1:0",
             "--access-log", "on", "--vault-addr", vault.origin, "--vault-cacert", certificates.ca,
             *arguments],
            stdin=subprocess.DEVNULL, stderr=writing)
        os.close(writing)
        self.pipe = os.fdopen(reading, "rb", buffering=0)
        text = b""
        while b"active vault node changed" not in text:
            piece = self.pipe.read(4096)
            assert piece, text.decode()
            text += piece
        ports = [int(match[2]) for match in map(LISTENING.search, text.decode().splitlines()) if match]
        self.port, self.admin_port = ports

    def fill(self):
        """Asks until lines are lost: pipe and queue are full."""
        def is_full():
            with Connection(self.port) as connection:
                for _ in range(500):
                    assert connection.request("GET", "/v1/x").status == 307
            return scrape(self)("log_messages_dropped_total") > 0
        wait_until("lines to be dropped", is_full, seconds=120)


@pytest.fixture
def deaf(binary, certificates, vault):
    runs = []

    def start(*arguments):
        runs.append(Deaf(binary, certificates, vault, *arguments))
        return runs[-1]

    yield start
    for run in runs:
        run.process.kill()
        run.process.wait()
        run.pipe.close()


@pytest.fixture(params=["a full pipe", "a closed pipe"])
def unread(request):
    """A pipe to write to: nobody reads what it is full of, or nobody is left to."""
    reading, writing = os.pipe()
    if request.param == "a full pipe":
        os.set_blocking(writing, False)
        try:
            while True:
                os.write(writing, b"x")
        except BlockingIOError:
            os.set_blocking(writing, True)
    else:
        os.close(reading)
    yield writing
    os.close(writing)
    if request.param == "a full pipe":
        os.close(reading)


def test_last_words_wait_for_nobody(binary, unread):
    words = dict(stdin=subprocess.DEVNULL, stderr=unread, timeout=60)
    assert subprocess.run([binary, "--nonsense"], **words).returncode == 64
    files = ["-k", "/nowhere", "-c", "/nowhere", "--vault-addr", "https://127.0.0.1:1"]
    assert subprocess.run([binary, *files], **words).returncode == 66
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [binary, "--vault-addr", "https://127.0.0.1:1", "--bind", "127.0.0.1", "-P", port], **words)
        assert done.returncode == 71


def test_sigterm_ends_it(deaf):
    run = deaf()
    run.fill()
    run.process.send_signal(signal.SIGTERM)
    assert run.process.wait(60) == 0


def test_a_second_signal_ends_it_at_once(deaf):
    run = deaf("--head-timeout", "600", "--shutdown-timeout", "600")
    run.fill()
    with Connection(run.port) as half:
        half.send(b"GET / HTTP/1.1\r\n")
        with Connection(run.port) as other:
            assert other.request("GET", "/v1/x").status == 307
        run.process.send_signal(signal.SIGTERM)

        def refused():
            try:
                Connection(run.port).socket.close()
            except ConnectionError:
                return True

        wait_until("connections to be refused", refused, seconds=60)
        run.process.send_signal(signal.SIGTERM)
        assert run.process.wait(60) == 128 + signal.SIGTERM


def test_lines_go_on_once_it_is_read(deaf):
    run = deaf()
    run.fill()

    def ask():
        with Connection(run.port) as connection:
            assert connection.request("GET", "/v1/after-the-silence").status == 307

    text = b""
    while b"path=/v1/after-the-silence" not in text[-16384:]:
        # There is always a line to read: a new one for each piece.
        ask()
        piece = run.pipe.read(4096)
        assert piece, "it has ended"
        text += piece
    lines = text.splitlines()
    assert all(line.startswith(b"ts=") for line in lines[1:-1])

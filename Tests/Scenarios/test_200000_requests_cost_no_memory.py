"""200,000 requests by wrk over TLS keep-alive: every one a 307, and no memory lost."""

import re
import subprocess

from harness.metrics import scrape

REQUESTS = 200_000


def load(run, seconds):
    done = subprocess.run(
        ["wrk", "-t", "1", "-c", "16", "-d", f"{seconds}s", f"https://127.0.0.1:{run.port}/v1/x"],
        check=True, capture_output=True, text=True)
    assert "Socket errors" not in done.stdout, done.stdout
    # wrk counts as such what is neither 2xx nor 3xx.
    assert "Non-2xx or 3xx responses" not in done.stdout, done.stdout
    return int(re.search(r"(\d+) requests in", done.stdout)[1])


def test_200000_requests(serving):
    run = serving()
    load(run, 1)  # What is allocated once, for the first connections, is there.
    before = run.memory()["Rss"]
    counted = scrape(run)("http_requests_total", code="307")
    done = 0
    while done < REQUESTS:
        done += load(run, 2)
    assert run.memory()["Rss"] - before <= 2 << 20

    metrics = scrape(run)
    # wrk leaves its last requests unread.
    assert done <= metrics("http_requests_total", code="307") - counted <= done + 16 * 100
    assert set(metrics.nonzero("http_requests_total", "code")) <= {"307", "200"}

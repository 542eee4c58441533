"""/metrics in Prometheus' text format: `promtool check metrics` finds nothing to say."""

import socket
import subprocess

from harness.http import Connection
from harness.metrics import scrape, wait_for_count
from harness.polling import wait_until


def check(text):
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_at_the_start_and_after_some_of_everything(serving, dial):
    run = serving("--proxy-protocol", "any", "--proxy-protocol-from", "127.0.0.1", tls=False)
    check(scrape(run).text)
    header = b"PROXY UNKNOWN\r\n"
    requests = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"LIST / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /vault-redirector-health HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/9.0\r\n\r\n"]
    for data in (*(header + request for request in requests), b"", b"x" * 20, header):
        with Connection(run.port) as connection:
            connection.send(data)
            try:
                connection.socket.shutdown(socket.SHUT_WR)
                connection.read_to_end()
            except OSError:
                pass  # A broken header is closed on at once.
    metrics = wait_for_count(run, "connections_active", 1)
    check(metrics.text)
    assert metrics("http_requests_total", code="307", method="GET") == 1
    assert metrics("http_requests_total", code="307", method="LIST") == 1
    assert metrics("http_requests_total", code="505") == 1
    assert metrics("proxy_protocol_headers_total", command="unknown") == 5


def test_its_labels_hold_nothing_of_a_client(serving, dial):
    run = serving()
    with dial(run) as connection:
        connection.request("SECRETMETHOD", "/v1/secret-path?token=secret-token")
    assert "secret" not in scrape(run).text.lower()
    assert scrape(run)("http_requests_total", method="other") == 1


def test_the_admin_listener_has_nothing_else(serving):
    run = serving()
    with Connection(run.admin_port) as connection:
        response = connection.request("GET", "/metrics")
        assert response["Content-Type"] == "text/plain; version=0.0.4"
        assert connection.request("HEAD", "/metrics").status == 200
        assert connection.request("GET", "/metrics?x").status == 200
        response = connection.request("POST", "/metrics")
        assert (response.status, response["Allow"]) == (405, "GET, HEAD")
        assert connection.request("GET", "/").status == 404
        assert connection.request("GET", "/v1/x").status == 404
    with Connection(run.admin_port) as connection:
        connection.send(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert connection.response().status == 400


def test_many_listeners_are_counted_as_one(redirector):
    binds = [word for number in range(1, 251) for word in ("--bind", f"127.0.2.{number}")]
    run = redirector(
        "127.0.0.1:1", *binds, *3 * ("--bind", "127.0.1.1"), "--admin", "127.0.0.1:0",
        listeners=254)
    for listener in run.listeners[:-1]:
        with socket.create_connection((listener.address, listener.port)):
            pass
    metrics = wait_for_count(run, "connections_accepted_total", 253, listener="public")
    assert metrics("connections_accepted_total", listener="admin") > 0
    assert metrics("http_requests_held") == 0


def test_more_metrics_than_fit_are_refused_and_not_cut(redirector):
    nodes = [f"https://127.{high}.{low}.1:1" for high in range(100, 120) for low in range(100, 200)]
    run = redirector(
        *(word for node in nodes for word in ("--vault-addr", node)),
        "--bind", "127.0.0.1", "--admin", "127.0.0.1:0", listeners=2)

    def answer():
        with Connection(run.admin_port) as connection:
            return connection.request("GET", "/metrics")

    wait_until("all nodes in the metrics", lambda: answer().status == 500, 60)
    assert "more metrics than fit" in answer().body.decode()


def test_it_leaves_the_loopback_only_when_told_so(redirector):
    # That it is refused without --admin-allow-remote is in the table of wrong use.
    run = redirector("127.0.0.1:1", "--admin", "0.0.0.0:0", "--admin-allow-remote", listeners=2)
    assert run.listeners[1].address == "0.0.0.0"
    assert scrape(run)("connections_active") == 1

"""307 to the active node for every method, with the request target untouched."""

import re

import pytest

from harness.consul import StandInConsul, entry

TARGETS = [
    "/", "//h/x", "///", "/v1/x?a=b%2Fc//d", "/v1/secret/data/a/../b/./c", "/%2e%2e/%00%0d%0a",
    "/a;b=c,d:e@f!$&'()*+-._~", "/?", "/??x=/?", "/v1/x?url=https://evil.example/", "/%", "/%zz",
    "/\\evil.example", "/" + 15_000 * "x",
]
ABSOLUTE = [
    ("http://other.example/v1/x?y", "/v1/x?y"), ("https://other.example:8443/", "/"),
    ("HTTP://other.example//evil.example/x", "//evil.example/x"),
    ("http://other.example", "/"), ("http://other.example?q=1", "/?q=1"),
    ("http://[::1]:80/x", "/x"),
]
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "LIST", "SCAN", "X-ANY.1~"]


@pytest.fixture
def connection(serving, dial, transport):
    with dial(serving(tls=transport == "tls")) as connection:
        yield connection


def test_every_target(connection, vault):
    for target in TARGETS:
        response = connection.request("GET", target)
        assert (response.status, response.reason) == (307, "Temporary Redirect")
        assert response["Location"] == vault.origin + target


def test_absolute_targets_give_their_path(connection, vault):
    for target, path in ABSOLUTE:
        assert connection.request("GET", target)["Location"] == vault.origin + path


def test_every_method(connection, vault):
    for method in METHODS:
        response = connection.request(method, "/v1/x")
        assert (response.status, response["Location"]) == (307, vault.origin + "/v1/x")


def test_the_fields_of_an_answer(connection):
    response = connection.request("GET", "/v1/x")
    assert response["Cache-Control"] == "no-store"
    assert response["Content-Length"] == "0"
    assert re.fullmatch(r"vault-redirector/\d+\.\d+\.\d+", response["Server"])
    assert re.fullmatch(
        r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", response["Date"])
    assert "Connection" not in response


def test_bodies_by_length_and_chunked_leave_the_connection_usable(connection, vault):
    assert connection.request("PUT", "/v1/a", body=100_000 * b"x").status == 307
    connection.send(
        b"POST /v1/b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5;note=1\r\nhello\r\n1000\r\n" + 0x1000 * b"y" + b"\r\n0\r\nTrailer: t\r\n\r\n"
        b"LIST /v1/c HTTP/1.1\r\nHost: x\r\n\r\n")
    assert connection.response()["Location"] == vault.origin + "/v1/b"
    assert connection.response()["Location"] == vault.origin + "/v1/c"


def test_http_1_0_closes_unless_asked_to_stay(connection):
    connection.send(b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    response = connection.response()
    assert (response.status, response["Connection"]) == (307, "keep-alive")
    connection.send(b"GET /b HTTP/1.0\r\n\r\n")
    assert connection.response().status == 307
    assert connection.read_to_end() == b""


def test_connection_close_is_obeyed(connection):
    response = connection.request("GET", "/", Connection="close")
    assert (response.status, response["Connection"]) == (307, "close")
    assert connection.read_to_end() == b""


def test_a_node_with_an_ipv6_address_stands_in_brackets(redirector, dial):
    with StandInConsul() as consul:
        consul.set([entry("vault-c", address="2001:db8::13", port=8200)])
        run = redirector("--bind", "127.0.0.1", "-S", "-I", consul.address)
        run.wait_for_line("active vault node changed")
        with dial(run) as connection:
            response = connection.request("GET", "/v1/x")
            assert response["Location"] == "https://[2001:db8::13]:8200/v1/x"

"""What does not begin with `/` and is no http URL gets 400 or 405, and never a Location."""

import pytest

REFUSED = [
    ("GET", "@evil.example/", 400), ("GET", "evil.example", 400), ("GET", ".evil.example/", 400),
    ("GET", ":80/", 400), ("GET", "?x", 400), ("GET", "*", 400), ("OPTIONS", "*", 400),
    ("CONNECT", "evil.example:443", 405), ("TRACE", "/", 405), ("GET", "ftp://evil.example/", 400),
    ("GET", "http:///x", 400), ("GET", "http:/x", 400), ("GET", "javascript:alert(1)", 400),
    ("GET", "http://user@evil.example/", 400), ("GET", "/x#fragment", 400),
    ("GET", "/\x7f", 400), ("GET", "/\xe4", 400), ("GET", "/\t", 400), ("GET", "/ x", 400),
    ("GET", "/x\rLocation:https://evil.example/", 400), ("GET", "\\evil.example", 400),
]


@pytest.mark.parametrize(("method", "target", "status"), REFUSED)
def test_refused(serving_once, dial, method, target, status):
    with dial(serving_once) as connection:
        response = connection.request(method, target)
        assert response.status == status
        assert "Location" not in response
        assert response["Connection"] == "close"
        assert response["Content-Type"] == "application/json"
        assert connection.read_to_end() == b""

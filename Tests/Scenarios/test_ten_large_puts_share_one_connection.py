"""PUT with 1 MiB, ten times: ten 307s with the target untouched, and the connection stays."""

import subprocess

TARGET = "/v1/x?a=b%2Fc//d"


def test_by_curl(serving, vault, tmp_path, transport):
    run = serving(tls=transport == "tls")
    body = tmp_path / "body"
    body.write_bytes((1 << 20) * b"x")
    scheme = {"tls": "https", "plain": "http"}[transport]
    url = f"{scheme}://localhost:{run.port}{TARGET}"
    done = subprocess.run(
        ["curl", "-skS", "-X", "PUT", "-d", f"@{body}", "-w", "%{http_code} %{redirect_url}\\n",
         *10 * [url]], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == 10 * [f"307 {vault.origin}{TARGET}"]


def test_by_a_client_that_sends_all_it_announced(serving, dial, vault, transport):
    # curl stops sending, and closes, when the answer is there before the end of its body.
    run = serving(tls=transport == "tls")
    with dial(run, seconds=60) as connection:
        for _ in range(10):
            response = connection.request("PUT", TARGET, body=(1 << 20) * b"x")
            assert (response.status, response["Location"]) == (307, vault.origin + TARGET)

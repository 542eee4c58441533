"""curl -X PUT with 1 MiB, ten times: one connection, ten 307s, the target untouched."""

import subprocess

TARGET = "/v1/x?a=b%2Fc//d"


def test_ten_puts(serving, vault, tmp_path, transport):
    run = serving(tls=transport == "tls")
    body = tmp_path / "body"
    body.write_bytes((1 << 20) * b"x")
    scheme = {"tls": "https", "plain": "http"}[transport]
    url = f"{scheme}://localhost:{run.port}{TARGET}"
    shown = "%{http_code} %{num_connects} %{redirect_url} %{size_upload}\\n"
    done = subprocess.run(
        ["curl", "-skS", "-X", "PUT", "--data-binary", f"@{body}", "-H", "Expect:", "-o",
         "/dev/null", "-w", shown, *10 * [url]], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    size = 1 << 20
    again = f"307 0 {vault.origin}{TARGET} {size}"
    assert lines == [again.replace("307 0", "307 1")] + 9 * [again]

"""Python, curl, openssl s_client, gnutls-cli and Go fetch a redirect, by TLS 1.2 and by TLS 1.3.

Each verifies the certificate and its name, with ECDSA as with RSA.
"""

import os
import shutil
import ssl
import subprocess

import pytest

from harness.http import Connection

TARGET = "/v1/secret/data/app?version=2"
REQUEST = f"GET {TARGET} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
VERSIONS = ["1.2", "1.3"]

GO = """
package main

import (
    "crypto/tls"
    "crypto/x509"
    "fmt"
    "net/http"
    "os"
)

func main() {
    pem, _ := os.ReadFile(os.Args[2])
    roots := x509.NewCertPool()
    roots.AppendCertsFromPEM(pem)
    for name, version := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
        config := &tls.Config{RootCAs: roots, MinVersion: version, MaxVersion: version,
            ClientSessionCache: tls.NewLRUClientSessionCache(1)}
        // As Vault's api package does: h2 is offered before http/1.1.
        transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
        client := &http.Client{Transport: transport,
            CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
        for attempt := 0; attempt < 2; attempt++ {
            response, err := client.Get(os.Args[1])
            if err != nil {
                fmt.Println(name, err)
                os.Exit(1)
            }
            response.Body.Close()
            client.CloseIdleConnections()
            fmt.Println(name, response.StatusCode, response.Header.Get("Location"), response.Proto,
                response.TLS.Version == version, response.TLS.NegotiatedProtocol, response.TLS.DidResume)
        }
    }
}
"""


@pytest.fixture(params=["ecdsa", "rsa"])
def run(request, serving, certificates):
    if request.param == "ecdsa":
        return serving()
    return serving("-c", certificates.rsa_chain, "-k", certificates.rsa_key, tls=False)


def client(*command, sends=None, environment=None):
    """Runs a client to its end, and gives what it wrote."""
    done = subprocess.run(
        [str(word) for word in command], input=sends, stdin=None if sends else subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stdout
    return done.stdout


def check(output, vault):
    lines = [line.rstrip("\r") for line in output.splitlines()]
    assert any(line.endswith("HTTP/1.1 307 Temporary Redirect") for line in lines), output
    assert f"Location: {vault.origin}{TARGET}" in lines


@pytest.mark.parametrize("version", VERSIONS)
def test_python(run, certificates, vault, version):
    context = certificates.client_context()
    context.minimum_version = context.maximum_version = ssl.TLSVersion[f"TLSv{version}".replace(".", "_")]
    with Connection(run.port, tls=context) as connection:
        assert connection.socket.version() == f"TLSv{version}"
        response = connection.request("GET", TARGET)
    assert (response.status, response["Location"]) == (307, f"{vault.origin}{TARGET}")


@pytest.mark.parametrize("version", VERSIONS)
def test_curl(run, certificates, vault, version):
    check(client(
        "curl", "-q", "--silent", "--show-error", "--include", "--cacert", certificates.ca,
        f"--tlsv{version}", "--tls-max", version, f"https://localhost:{run.port}{TARGET}",
        "--resolve", f"localhost:{run.port}:127.0.0.1"), vault)


@pytest.mark.parametrize("version", VERSIONS)
def test_openssl(run, certificates, vault, version):
    check(client(
        "openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{run.port}", "-verify_return_error",
        "-verify_hostname", "localhost", "-CAfile", certificates.ca, "-ign_eof",
        f"-tls{version}".replace(".", "_"), sends=REQUEST), vault)


@pytest.mark.parametrize("version", VERSIONS)
def test_gnutls(run, certificates, vault, version):
    check(client(
        "gnutls-cli", "--x509cafile", certificates.ca, "--verify-hostname", "localhost",
        "--priority", f"NORMAL:-VERS-ALL:+VERS-TLS{version}", "-p", run.port, "127.0.0.1",
        sends=REQUEST), vault)


def test_go(run, certificates, vault, tmp_path):
    if not shutil.which("go"):
        pytest.skip("there is no Go here")
    (tmp_path / "fetch.go").write_text(GO)
    # Go before 1.17 has no module for a single file; nothing outside its own library is used.
    environment = os.environ | {
        "GO111MODULE": "off", "GOFLAGS": "", "GOCACHE": str(tmp_path / "cache"),
        "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    output = client(
        "go", "run", tmp_path / "fetch.go", f"https://127.0.0.1:{run.port}{TARGET}", certificates.ca,
        environment=environment)
    location = f"{vault.origin}{TARGET}"
    for version in VERSIONS:
        # The second connection resumes the first one's session.
        for resumed in ("false", "true"):
            assert f"{version} 307 {location} HTTP/1.1 true http/1.1 {resumed}" in output, output

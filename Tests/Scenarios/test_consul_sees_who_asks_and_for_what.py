"""The scope in the query, the token in a field of its own; a rotated token file is used at the next attempt."""

import base64
import json
import signal

from harness.consul import entry


def test_the_scope(watch, consul):
    consul.service = "va%2Fult"
    consul.set([entry("vault-a")])
    watching = watch(
        "--datacenter", "dc 1", "--namespace", "n&s", "--partition", "p", "--service", "va/ult")
    watching.follow("vault-a")
    for request in consul.wait_for_requests(2):
        scope = {key: request.query.get(key) for key in ("dc", "ns", "partition")}
        assert scope == {"dc": "dc 1", "ns": "n&s", "partition": "p"}
        assert request.fields["user-agent"].startswith("vault-redirector/")


def test_the_scope_by_the_consul_clis_variables(watch, consul):
    consul.set([entry("vault-a")])
    environment = {
        "CONSUL_NAMESPACE": "n", "CONSUL_PARTITION": "p", "CONSUL_HTTP_TOKEN": "t0ken",
        "CONSUL_HTTP_AUTH": "user:secret"}
    watch(environment=environment).follow("vault-a")
    [request, *_] = consul.requests
    assert (request.query["ns"], request.query["partition"]) == ("n", "p")
    assert request.fields["x-consul-token"] == "t0ken"
    assert request.fields["authorization"] == "Basic " + base64.b64encode(b"user:secret").decode()


def test_a_new_token_is_read_when_the_old_one_is_refused(watch, consul, tmp_path):
    file = tmp_path / "token"
    file.write_text("t0ken-1\n")
    consul.set([entry("vault-a")])
    watching = watch("-v", environment={"CONSUL_HTTP_TOKEN_FILE": str(file)})
    watching.follow("vault-a")
    consul.wait_for_requests(2)
    assert {request.fields["x-consul-token"] for request in consul.requests} == {"t0ken-1"}

    file.write_text("t0ken-2\n")
    seen = len(consul.requests)
    watching.hear(consul.status, 403, "ACL not found")
    assert consul.wait_for_requests(seen + 1)[seen].fields["x-consul-token"] == "t0ken-2"
    assert watching.node() == "vault-a"
    status, document = watching.health()
    assert (status, document["discovery"]["state"]) == (200, "silent")
    log = "\n".join(watching.run.lines) + json.dumps(document)
    assert "t0ken-" not in log

    consul.set([entry("vault-b")])
    watching.follow("vault-b")


def test_a_hangup_signal_reads_it_again(watch, consul, tmp_path):
    file = tmp_path / "token"
    file.write_text("t0ken-1")
    consul.set([entry("vault-a")])
    watching = watch(environment={"CONSUL_HTTP_TOKEN_FILE": str(file)})
    watching.follow("vault-a")
    consul.wait_for_requests(2)

    file.write_text("t0ken-2")
    watching.run.signal(signal.SIGHUP)
    assert consul.wait_for_requests(3)[2].fields["x-consul-token"] == "t0ken-2"
    consul.set([entry("vault-b")])
    watching.follow("vault-b")

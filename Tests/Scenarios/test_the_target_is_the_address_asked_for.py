"""--target, -I and --target-template: the node's name, an address of either, or a URL made of them."""

import pytest

from harness.consul import entry


def instance() -> dict:
    one = entry("vault-a", address="10.0.1.11", port=8200)
    one["Service"]["Address"] = "vault-a.example.com"
    one["Service"]["TaggedAddresses"] = {"wan": {"Address": "198.51.100.7", "Port": 443}}
    one["Node"]["TaggedAddresses"] = {"wan": "198.51.100.1", "lan": "10.9.9.9"}
    return one


def ipv6() -> dict:
    one = entry("vault-a", address="2001:db8::13")
    one["Node"]["TaggedAddresses"] = {"lan": "fd00::1", "wan": "2001:db8::99"}
    return one


@pytest.mark.parametrize("arguments, origin", [
    ((), "https://vault-a:8200"),
    (("--target", "node"), "https://vault-a:8200"),
    (("-I",), "https://10.0.1.11:8200"),
    (("--target", "ip"), "https://10.0.1.11:8200"),
    (("--target", "service"), "https://vault-a.example.com:8200"),
    (("--target", "wan"), "https://198.51.100.7:443"),
    (("--target", "lan"), "https://10.9.9.9:8200"),
    (("--target-template", "https://{node}.vault.example.com:{port}"),
     "https://vault-a.vault.example.com:8200"),
    (("--target-template", "https://{node}.{dc}.example.com"), "https://vault-a.dc1.example.com:8200"),
    (("--target-template", "https://{address}:8300"), "https://vault-a.example.com:8300"),
    (("--target-template", "https://{ip}:443"), "https://10.0.1.11:443"),
])
def test_each_of_them(watch, consul, arguments, origin):
    consul.set([instance()])
    watching = watch(*arguments)
    consul.wait_for_requests(2)
    assert watching.origin() == origin


@pytest.mark.parametrize("arguments, origin", [
    (("--target", "service"), "https://[2001:db8::13]:8200"),
    (("--target", "ip"), "https://[2001:db8::13]:8200"),
    (("--target", "wan"), "https://[2001:db8::99]:8200"),
    (("--target", "lan"), "https://[fd00::1]:8200"),
])
def test_ipv6_stands_in_brackets(watch, consul, arguments, origin):
    consul.set([ipv6()])
    watching = watch(*arguments)
    consul.wait_for_requests(2)
    assert watching.origin() == origin


@pytest.mark.parametrize("rule", ["service", "ip"])
def test_without_an_address_of_its_own_the_service_has_the_nodes(watch, consul, rule):
    one = instance()
    one["Service"]["Address"] = ""
    consul.set([one])
    watching = watch("--target", rule)
    consul.wait_for_requests(2)
    assert watching.origin() == "https://10.0.1.11:8200"


@pytest.mark.parametrize("rule", ["wan", "lan"])
def test_nobody_without_the_tagged_address(watch, consul, rule):
    consul.set([entry("vault-a")])
    watching = watch("--target", rule)
    consul.wait_for_requests(2)
    assert watching.origin() is None

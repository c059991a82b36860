"""Whose address a call came from."""

import pytest

from concord.kernel.addresses import TrustedProxies, canonical_address, is_loopback, peer_address, split_host_port


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:192.0.2.1:4711", "192.0.2.1"),
        ("ipv6:%5B2001:db8::1%5D:4711", "2001:db8::1"),
        ("ipv6:[::ffff:192.0.2.1]:1", "192.0.2.1"),
        ("unix:/tmp/socket", ""),
        ("inprocess:", ""),
        ("", ""),
    ],
)
def test_a_peers_name_gives_its_address(peer, address):
    assert peer_address(peer) == address


@pytest.mark.parametrize("text", ["", "example.org", "1.2.3", "fe80::1%eth0", "1.2.3.4/8", "010.0.0.1", "x" * 100])
def test_what_is_no_address_is_none(text):
    assert canonical_address(text) == ""


@pytest.mark.parametrize(
    ("peer", "headers", "caller"),
    [
        ("203.0.113.1", ["198.51.100.7"], "203.0.113.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", ["1.1.1.1", "198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["198.51.100.7:4711"], "198.51.100.7"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("10.0.0.1", ["198.51.100.7, unknown"], "10.0.0.1"),
        ("::ffff:10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
    ],
)
def test_a_proxy_is_believed_only_about_the_hop_before_it(peer, headers, caller):
    assert TrustedProxies(["10.0.0.0/8"]).caller(peer, headers) == caller


def test_without_trusted_proxies_nobody_is_believed():
    assert TrustedProxies().caller("127.0.0.1", ["198.51.100.7"]) == "127.0.0.1"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"])
def test_loopback_is_known(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "example.org", "127.0.0.1.example.org", "10.0.0.1"])
def test_everything_else_is_not_loopback(host):
    assert not is_loopback(host)


@pytest.mark.parametrize("address", ["", "host", ":80", "host:", "host:99999", "host:x", "::1:80"])
def test_an_address_without_host_or_port_is_refused(address):
    with pytest.raises(ValueError, match="`"):
        split_host_port(address)

"""Sorted intervals and tables by length find the networks that a look at each finds."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.policy.engine.networks import Networks, OwnedNetworks, find_address, in_network, parse_address

# Few and close together, so that they touch, nest and miss by one.
fours = st.integers(0, 40).map(lambda number: str(ipaddress.IPv4Address(0x0A000000 + number)))
sixes = st.integers(0, 40).map(lambda number: str(ipaddress.IPv6Address((0x20010DB8 << 96) + number)))
mapped = fours.map(lambda text: f"::ffff:{text}")
addresses = st.one_of(fours, sixes, mapped, st.sampled_from(("255.255.255.255", "0.0.0.0", "::")))
networks = st.one_of(
    st.tuples(fours, st.integers(24, 32)).map(lambda pair: f"{pair[0]}/{pair[1]}"),
    st.tuples(sixes, st.integers(120, 128)).map(lambda pair: f"{pair[0]}/{pair[1]}"),
    fours,
    st.sampled_from(("0.0.0.0/0", "::/0", "255.255.255.255/32")),
)


@given(st.lists(networks, max_size=8), addresses)
def test_intervals_hold_what_one_of_the_networks_holds(texts: list[str], address: str) -> None:
    found = Networks(texts)

    assert found.hold(parse_address(address)) is any(in_network(address, text) for text in texts)
    assert not found.faulty


@given(st.lists(networks, max_size=8), addresses)
def test_owners_are_those_whose_network_holds_the_address(texts: list[str], address: str) -> None:
    found = OwnedNetworks((text, owner) for owner, text in enumerate(texts))

    assert found.owners(parse_address(address)) == {o for o, text in enumerate(texts) if in_network(address, text)}


@given(fours | sixes, networks)
def test_a_network_holds_what_the_standard_library_says(address: str, network: str) -> None:
    expected = ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)

    assert in_network(address, network) is expected


@pytest.mark.parametrize("text", ["", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/", "office", "10.0.0.0/0008", "1.2.3.4/8/8"])
def test_what_is_no_network_holds_nothing_and_is_told(text: str) -> None:
    found = Networks((text, "10.0.0.0/8"))

    assert found.faulty
    assert found.hold(parse_address("10.1.2.3"))
    assert not found.hold(parse_address("11.1.2.3"))
    assert find_address(text) is None

"""Addresses and networks: `address/bits`, whose host bits may be set."""

import socket
from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache

# Family, number and width of an address; a network adds how many bits count.
Address = tuple[int, int, int]


def in_network(address: str, network: str) -> bool:
    """Tell whether an address lies in a network.

    Raises ValueError for texts that are no address or network.
    """
    family, number, width = parse_address(address)
    base_family, base, bits = parse_network(network)
    if family != base_family:
        return False
    shift = width - bits
    return number >> shift == base >> shift


@lru_cache(maxsize=8192)
def parse_address(text: str) -> Address:
    """Return family, number and width in bits, or raise ValueError."""
    family, width = (socket.AF_INET6, 128) if ":" in text else (socket.AF_INET, 32)
    try:
        number = int.from_bytes(socket.inet_pton(family, text), "big")
    except (OSError, ValueError) as error:
        raise ValueError(f"`{text}` is no address") from error
    if width == 128 and number >> 32 == 0xFFFF:
        # An IPv4 caller seen through an IPv6 socket is still an IPv4 caller.
        return socket.AF_INET, number & 0xFFFFFFFF, 32
    return family, number, width


def parse_network(text: str) -> tuple[int, int, int]:
    """Return family, base and how many leading bits count, or raise ValueError."""
    base_text, _, bits_text = text.partition("/")
    family, base, width = parse_address(base_text)
    if bits_text and not (bits_text.isascii() and bits_text.isdigit() and len(bits_text) < 4):
        raise ValueError(f"`{text}` is no network")
    bits = int(bits_text) if bits_text else width
    if bits > width or text.endswith("/"):
        raise ValueError(f"`{text}` is no network")
    return family, base, bits


def find_address(text: str) -> Address | None:
    """Return the address, or None where the text is none."""
    try:
        return parse_address(text)
    except ValueError:
        return None


class Networks:
    """Many networks as sorted intervals that do not touch, so that one bisection finds an address."""

    __slots__ = ("_ends", "_starts", "faulty")

    def __init__(self, networks: Iterable[str]) -> None:
        self.faulty = False
        """Whether one of the texts is no network; nothing lies in that one."""
        intervals: dict[int, list[tuple[int, int]]] = {}
        for text in networks:
            try:
                family, base, bits = parse_network(text)
            except ValueError:
                self.faulty = True
                continue
            shift = (32 if family == socket.AF_INET else 128) - bits
            start = base >> shift << shift
            intervals.setdefault(family, []).append((start, start + (1 << shift)))
        self._starts: dict[int, list[int]] = {}
        self._ends: dict[int, list[int]] = {}
        for family, found in intervals.items():
            merged = _merged(found)
            self._starts[family] = [start for start, _ in merged]
            self._ends[family] = [end for _, end in merged]

    def hold(self, address: Address) -> bool:
        """Tell whether an address lies in one of them."""
        family, number, _ = address
        starts = self._starts.get(family)
        if starts is None:
            return False
        at = bisect_right(starts, number) - 1
        return at >= 0 and number < self._ends[family][at]


class OwnedNetworks:
    """Networks with owners: finds those whose network holds an address, by one look for each length in use."""

    def __init__(self, networks: Iterable[tuple[str, int]]) -> None:
        """Take pairs of a network, which must be one, and an owner."""
        self._tables: dict[int, dict[int, dict[int, set[int]]]] = {}
        for text, owner in networks:
            family, base, bits = parse_network(text)
            shift = (32 if family == socket.AF_INET else 128) - bits
            by_shift = self._tables.setdefault(family, {})
            by_shift.setdefault(shift, {}).setdefault(base >> shift, set()).add(owner)

    def owners(self, address: Address) -> set[int]:
        """Return the owners of the networks that hold an address."""
        family, number, _ = address
        found: set[int] = set()
        for shift, table in self._tables.get(family, {}).items():
            found |= table.get(number >> shift, frozenset())
        return found


def _merged(intervals: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((start, end))
    return merged

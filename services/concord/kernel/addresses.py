"""Network addresses: whose address a call came from, and where it is safe to listen."""

import ipaddress
from collections.abc import Iterable, Sequence
from urllib.parse import unquote

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def canonical_address(text: str) -> str:
    """Return the canonical text of an IP address; "" when it is none.

    An IPv4 address written as IPv6 becomes IPv4, and a zone is refused, so that two
    spellings of one address never meet different conditions.
    """
    candidate = text.strip()
    if "%" in candidate or len(candidate) > 45:
        return ""
    try:
        address = ipaddress.ip_address(candidate)
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def peer_address(peer: str) -> str:
    """Return the address in gRPC's name for a peer: `ipv4:10.0.0.1:443`, `ipv6:%5B::1%5D:443`; "" for other peers."""
    family, _, rest = peer.partition(":")
    if family not in ("ipv4", "ipv6"):
        return ""
    host, _, _ = unquote(rest).rpartition(":")
    return canonical_address(host.strip("[]"))


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach a listener on that host."""
    name = host.strip("[]")
    if name.lower() == "localhost" or host.startswith(("unix:", "unix-abstract:")):
        return True
    canonical = canonical_address(name)
    return bool(canonical) and ipaddress.ip_address(canonical).is_loopback


def split_host_port(address: str) -> tuple[str, int]:
    """Take `host:port` apart; the host of an IPv6 address stands in brackets. Raise ValueError for anything else."""
    host, separator, port = address.rpartition(":")
    if not separator or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"`{address}` is not host:port")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError(f"the IPv6 address in `{address}` must stand in brackets")
    return host.strip("[]"), int(port)


class TrustedProxies:
    """Finds the caller behind proxies that we trust to say whom they forward."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks: Sequence[Network] = tuple(ipaddress.ip_network(network, strict=False) for network in networks)

    def is_trusted(self, address: str) -> bool:
        """Tell whether this address belongs to one of the proxies."""
        canonical = canonical_address(address)
        if not canonical or not self._networks:
            return False
        parsed = ipaddress.ip_address(canonical)
        return any(parsed.version == network.version and parsed in network for network in self._networks)

    def caller(self, peer: str, forwarded_for: Sequence[str] = ()) -> str:
        """Return the caller's address, given the peer's and the values of all `X-Forwarded-For` headers, in order.

        Read from the right: each entry was written by the hop after it, so the first one
        that no trusted proxy vouches for is the caller, and what stands left of it is hearsay.
        """
        address = canonical_address(peer)
        if not self.is_trusted(address):
            return address
        hops = [hop for value in forwarded_for for hop in value.split(",") if hop.strip()]
        for hop in reversed(hops):
            previous = canonical_address(_without_port(hop.strip()))
            if not previous:
                return address
            address = previous
            if not self.is_trusted(address):
                return address
        return address


def _without_port(hop: str) -> str:
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop

"""Settings, read once from flags and `CONCORD_…` variables into one frozen value."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from concord.kernel.secret import Secret

SERVICES = ("identity", "credentials", "groups", "policy", "audit")
GATEWAY = "gateway"
ROLES = (*SERVICES, GATEWAY)

DEFAULT_HTTP = "127.0.0.1:8080"
DEFAULT_GRPC = "127.0.0.1:50051"
# Where each service listens, and is looked for, when it is a process of its own.
DEFAULT_PORTS: Mapping[str, int] = {
    "identity": 50052,
    "credentials": 50053,
    "groups": 50054,
    "policy": 50055,
    "audit": 50056,
}


class BadSetting(Exception):
    """A setting is missing or unusable; the message names its variable, never its value."""


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port; port 0 asks the system for a free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, name: str) -> "Address":
        """Read `host:port` or `[v6]:port`; `name` is the setting to blame."""
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not colon or not host or not port.isdecimal() or int(port) > 65535:
            raise BadSetting(f"{name} must be host:port")
        return cls(host, int(port))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host == "localhost" or self.host == "::1" or self.host.startswith("127.")

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Tls:
    """Files of a listener's certificate, its key, and the authority of its clients (empty: none asked for)."""

    certificate: Path
    key: Path
    client_authority: Path | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """All that a process is told from outside."""

    data_dir: Path
    http: Address
    grpc: Address
    roles: tuple[str, ...] = ROLES
    database_url: Secret | None = None
    ephemeral: bool = False
    tls: Tls | None = None
    insecure_listen: bool = False
    trusted_proxies: tuple[str, ...] = ()
    siblings: Mapping[str, Address] = field(default_factory=dict)
    sibling_authority: Path | None = None
    drain_seconds: float = 10.0
    start_seconds: float = 30.0
    log_level: str = "info"
    log_format: str = "console"
    organization_name: str = "demo"
    owner_email: str = "owner@demo.example"
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What is said to one service or two, which read it when they are built and never again."""

    @property
    def is_whole(self) -> bool:
        """Whether this process is the whole suite."""
        return set(self.roles) == set(ROLES)

    @property
    def issuer(self) -> str:
        """`CONCORD_ISSUER`: under which address clients know the authorization server; empty where nobody said."""
        return self.environment.get("CONCORD_ISSUER", "").rstrip("/")

    def sibling(self, service: str) -> Address:
        """Return where a service that is not in this process is found."""
        return self.siblings.get(service) or Address("127.0.0.1", DEFAULT_PORTS[service])


def siblings_from(environment: Mapping[str, str] = os.environ) -> dict[str, Address]:
    """Read `CONCORD_<SERVICE>_ADDRESS` for each service."""
    found = {}
    for service in SERVICES:
        name = f"CONCORD_{service.upper()}_ADDRESS"
        if text := environment.get(name):
            found[service] = Address.parse(text, name)
    return found

"""What a service is to the process that hosts it, and what the process is to the service."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import grpc.aio
from google.protobuf.message import Message
from sqlalchemy import MetaData

from concord.common.v1.change_pb2 import ChangeEvent
from concord.kernel.clock import Clock
from concord.kernel.config import Settings
from concord.kernel.database import Connection
from concord.kernel.feed.consumer import Consumer
from concord.kernel.keyring import Keyring
from concord.kernel.units import Unit, Units

S = TypeVar("S")


@dataclass(frozen=True)
class Service:
    """One service, built and ready to be mounted."""

    name: str
    # `(add_XServicer_to_server, servicer)`, as generated code wants them.
    servicers: Sequence[tuple[Callable[[Any, Any], None], Any]]
    units: Units[Any]
    consumers: Sequence[Consumer] = ()
    # Coroutines that run as long as the process serves.
    background: Sequence[Callable[[], Awaitable[None]]] = ()


class Platform(Protocol):
    """What the hosting process gives to a service while it is built."""

    @property
    def settings(self) -> Settings: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def keyring(self) -> Keyring: ...

    def channel(self, service: str) -> grpc.aio.Channel:
        """Return the way to a service: in process where it is hosted here, else over the network."""

    async def open_units(
        self,
        service: str,
        metadata: MetaData,
        migrations: Path,
        store: Callable[[Connection], S],
        snapshot: Callable[[object], Message],
    ) -> Units[S]:
        """Open the service's database, bring its schema up to date and bind its store."""

    def service_token(self) -> Callable[[], str]:
        """Return what gives the current token of the service's own role, to show to the others."""

    def consumer(
        self, service: str, source: str, units: Units[S], apply: Callable[[Unit[S], ChangeEvent], None]
    ) -> Consumer:
        """Make the consumer that applies a source's changes to a service."""

"""Fakes that keep their promises: a database in a file that dies with its test, a clock that stands, a call."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from google.protobuf.empty_pb2 import Empty
from sqlalchemy import MetaData

from concord.common.v1.change_feed_service_pb2 import GetHeadRequest, GetHeadResponse
from concord.kernel.clock import SettableClock
from concord.kernel.database import Connection, Database, DatabaseSettings, open_database
from concord.kernel.feed.producer import Feed
from concord.kernel.feed.servicer import ChangeFeedServicer
from concord.kernel.ids import OrganizationId
from concord.kernel.keyring import Keyring
from concord.kernel.paging import PageTokens
from concord.kernel.principal import Passport, PrincipalKind, PrincipalRef, Reach, TargetClass, Verdict
from concord.kernel.rpc.call import CURRENT, Call
from concord.kernel.rpc.options import Access, MethodRules
from concord.kernel.units import Units

START = datetime(2026, 1, 1, tzinfo=UTC)
ORGANIZATION = OrganizationId("11111111-1111-4111-8111-111111111111")
OTHER_ORGANIZATION = OrganizationId("22222222-2222-4222-8222-222222222222")
CALLER = PrincipalRef(PrincipalKind.USER, "33333333-3333-4333-8333-333333333333")


def settings(directory: Path, **changes: Any) -> DatabaseSettings:
    """Settings of an embedded database in a directory that nobody will miss."""
    return DatabaseSettings(**{"url": None, "data_dir": directory, "ephemeral": True, **changes})


async def open_sqlite(
    directory: Path, metadata: MetaData, migrations: Path | None = None, service: str = "service", **changes: Any
) -> Database:
    """Open an embedded database."""
    return await open_database(settings(directory, **changes), service, metadata, migrations)


def rules(rpc: str = "concord.test.v1.TestService/Write", permission: str = "test.things.write") -> MethodRules:
    """Rules of an rpc that no contract has."""
    service, _, name = rpc.rpartition("/")
    return MethodRules(
        path=f"/{rpc}",
        rpc=rpc,
        service=service,
        name=name,
        access=Access.PERMISSION,
        permission=permission,
        classes=(),
        target_field="",
        pinned_fields=(),
        request_type=Empty,
        response_type=Empty,
        request_streaming=False,
        response_streaming=False,
    )


@contextmanager
def calling(
    *,
    organization_id: OrganizationId | None = ORGANIZATION,
    principal: PrincipalRef = CALLER,
    rpc: str = "concord.test.v1.TestService/Write",
    reach: Reach | None = None,
) -> Iterator[Call]:
    """Serve a call: inside, `Call.current()` is the one yielded."""
    classes = frozenset({TargetClass.ANY, TargetClass.OWN})
    call = Call(
        method=rules(rpc),
        call_id=str(uuid.uuid4()),
        passport=Passport(principal, organization_id, START, START + timedelta(minutes=5)),
        verdict=Verdict(True, reach or Reach(classes=classes)),
        address="192.0.2.1",
        agent="tests",
    )
    token = CURRENT.set(call)
    try:
        yield call
    finally:
        CURRENT.reset(token)


@asynccontextmanager
async def open_units(
    directory: Path,
    metadata: MetaData,
    store: Callable[[Connection], Any],
    snapshot: Callable[[Any], Any],
    *,
    service: str = "service",
    clock: SettableClock | None = None,
    database: Database | None = None,
    migrations: Path | None = None,
    barrier_seconds: float = 2.0,
) -> AsyncIterator[Units[Any]]:
    """Units over an embedded database (or a given one), as a process would wire them."""
    clock = clock or SettableClock(START)
    opened = database or await open_sqlite(directory, metadata, migrations, service)
    keyring = Keyring(directory / "keys")
    feed = Feed(service, opened, clock, barrier_seconds=barrier_seconds)
    await feed.start()
    try:
        yield Units(
            service=service,
            database=opened,
            store=store,
            snapshot=snapshot,
            clock=clock,
            feed=feed,
            seal=keyring,
            page_tokens=PageTokens(keyring.page_key()),
        )
    finally:
        if database is None:
            await opened.close()


@dataclass
class _Context:
    """The server's side of a stream, as far as the feed needs it."""

    responses: "asyncio.Queue[Any]"

    async def write(self, message: Any) -> None:
        await self.responses.put(message)


class _Stream:
    """The client's side of a stream."""

    def __init__(self, serve: Callable[[_Context], Any]) -> None:
        self._responses: asyncio.Queue[Any] = asyncio.Queue(8)
        self._task = asyncio.ensure_future(serve(_Context(self._responses)))

    def cancel(self) -> bool:
        return self._task.cancel()

    async def __aiter__(self) -> AsyncIterator[Any]:
        while True:
            get = asyncio.ensure_future(self._responses.get())
            try:
                await asyncio.wait({get, self._task}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not get.done():
                    get.cancel()
            if not get.done() or get.cancelled():
                await self._task
                return
            yield get.result()


class FeedChannel:
    """A channel that reaches nothing but these feeds, without a chain or a socket."""

    def __init__(self, *feeds: Feed) -> None:
        self._servicer = ChangeFeedServicer({feed.source: feed for feed in feeds})
        self.is_cut = False
        self.streams: list[_Stream] = []

    def cut(self) -> None:
        """Break every stream and refuse new ones."""
        self.is_cut = True
        for stream in self.streams:
            stream.cancel()
        self.streams.clear()

    def stream_stream(self, path: str, *args: Any, **kwargs: Any) -> Callable[..., _Stream]:
        """Return the callable for Watch."""

        def call(requests: AsyncIterator[Any], **_: Any) -> _Stream:
            if self.is_cut:
                raise ConnectionError("cut")
            stream = _Stream(lambda context: self._servicer.Watch(requests, context))
            self.streams.append(stream)
            return stream

        return call

    def unary_unary(self, path: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        """Return the callable for GetHead."""

        async def call(request: GetHeadRequest, **_: Any) -> GetHeadResponse:
            if self.is_cut:
                raise ConnectionError("cut")
            return await self._servicer.GetHead(request, None)

        return call

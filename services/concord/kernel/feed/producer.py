"""The producing side: one service's commits in order, who watches them, and who has applied them."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import bindparam, func, insert, select, update

from concord.common.v1.change_feed_service_pb2 import WatchRequest, WatchResponse
from concord.common.v1.change_pb2 import ChangeEvent
from concord.kernel.clock import Clock
from concord.kernel.database.contract import Connection, Database, UniqueViolation
from concord.kernel.database.tables import feed_consumer, outbox_event
from concord.kernel.errors import Invalid, Precondition, Reason, Violation
from concord.kernel.feed.trimming import NOBODY, floor, trim

PAGE: Final = 200
# Heals a wake-up that was lost on its way from another process.
SLOW_POLL_SECONDS: Final = 2.0
BARRIER_SECONDS: Final = 2.0
# After a page the next one gathers so long, unless somebody waits for what is on it: a page is one
# transaction of each consumer, and small ones would spend more on commits than on changes.
GATHER_SECONDS: Final = 0.05
# Only when many commit side by side: one caller after another sees each change at once.
CROWD: Final = 8
# A consumer that stayed away this long is gone for good: writes no longer wait for it.
LEASE: Final = timedelta(hours=24)
_TOUCH_EVERY: Final = timedelta(minutes=10)
_TRIM_AGAIN: Final = timedelta(seconds=1)
_MAX_NAME: Final = 64

_HEAD = select(func.coalesce(func.max(outbox_event.c.revision), 0))
_AFTER = (
    select(outbox_event.c.revision, outbox_event.c.payload)
    .where(outbox_event.c.revision > bindparam("cursor"))
    .order_by(outbox_event.c.revision)
    .limit(bindparam("page"))
)
_REGISTERED = select(feed_consumer.c.name, feed_consumer.c.seen_time).where(feed_consumer.c.name != NOBODY)
_REGISTER = insert(feed_consumer)
_SEEN = (
    update(feed_consumer)
    .where(feed_consumer.c.name == bindparam("named"))
    .values(seen_time=bindparam("seen"), applied_revision=bindparam("applied"))
)

_LOG = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Watcher:
    """One open stream."""

    consumer: str
    applied: int
    touched: datetime
    lagging: bool = False
    # What must be applied to have caught up; unknown while whole pages still go out.
    tail: float = math.inf


@dataclass(eq=False, slots=True)
class _Barrier:
    revision: int
    waiting: set[_Watcher] = field(default_factory=set)
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Feed:
    """The feed of one service, as one process serves it. Every process that hosts the service has one."""

    def __init__(self, source: str, database: Database, clock: Clock, *, barrier_seconds: float = BARRIER_SECONDS):
        self.source = source
        self.head = 0
        """The newest revision this process knows of."""
        self._database = database
        self._clock = clock
        self._barrier_seconds = barrier_seconds
        self._watchers: set[_Watcher] = set()
        self._barriers: set[_Barrier] = set()
        self._registered: dict[str, datetime] = {}
        self._urgent = 0
        self._hurry = asyncio.Event()
        # Whoever gathers has a full page at this revision.
        self._full = math.inf
        self._page: tuple[tuple[int, int], WatchResponse] = ((-1, -1), WatchResponse())

    async def start(self) -> None:
        """Learn where the feed stands and who is registered."""
        await self.read_head()
        await self._read_registry()

    def advance(self, revision: int, *, urgent: bool = False) -> None:
        """Know of a commit. An urgent one goes out at once, with all before it."""
        self.head = max(self.head, revision)
        if urgent and revision > self._urgent:
            self._urgent = revision
        elif self.head < self._full:
            return
        self._full = math.inf
        hurry, self._hurry = self._hurry, asyncio.Event()
        hurry.set()

    def wake(self) -> None:
        """Let watchers look for new rows now."""
        self._database.notify()

    async def read_head(self) -> int:
        """Return the newest committed revision, whoever committed it."""
        known = self.head
        self.advance(await self._database.read(lambda connection: connection.execute(_HEAD).scalar_one()))
        if self.head > known:
            # Another process committed it: what this one concluded before has to be looked at again.
            self._database.notify()
        return self.head

    async def barrier(self, revision: int, limit: float | None = None) -> bool:
        """Wait until every live consumer has applied this revision; False when one has not, or is away.

        A consumer that missed a barrier is not waited for again until it has caught up.
        """
        self.advance(revision, urgent=True)
        # Read each time: a consumer may have registered with another process a moment ago.
        await self._read_registry()
        everyone = self._everyone_is_here()
        behind = {watcher for watcher in self._watchers if watcher.applied < revision}
        waiting = {watcher for watcher in behind if not watcher.lagging}
        complete = everyone and len(waiting) == len(behind)
        if not waiting:
            return complete
        barrier = _Barrier(revision, waiting)
        self._barriers.add(barrier)
        try:
            async with asyncio.timeout(self._barrier_seconds if limit is None else limit):
                await barrier.done.wait()
        except TimeoutError:
            for watcher in barrier.waiting:
                watcher.lagging = True
                _LOG.warning("consumer %s of %s lags behind", watcher.consumer, self.source)
            return False
        finally:
            self._barriers.discard(barrier)
        # One of those waited for may have gone away instead of applying.
        return complete and self._everyone_is_here()

    async def watch(
        self,
        first: WatchRequest,
        acknowledgements: AsyncIterator[WatchRequest],
        send: Callable[[WatchResponse], Awaitable[Any]],
    ) -> None:
        """Serve one stream: events after `from_revision` as they commit, until the consumer ends it."""
        if not 0 < len(first.consumer) <= _MAX_NAME:
            raise Invalid(Violation("consumer", f"must have 1 to {_MAX_NAME} characters", rule="length"))
        if first.from_revision < 0:
            raise Invalid(Violation("from_revision", "must not be negative", rule="range"))
        watcher = _Watcher(first.consumer, first.from_revision, self._clock.now())
        await self._register(watcher)
        self._watchers.add(watcher)
        reader = asyncio.create_task(self._acknowledge(watcher, acknowledgements))
        sender = asyncio.create_task(self._send(watcher, first.from_revision, send))
        try:
            done, _ = await asyncio.wait({reader, sender}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self._drop(watcher)
            for task in (reader, sender):
                task.cancel()
            await asyncio.gather(reader, sender, return_exceptions=True)

    async def _send(self, watcher: _Watcher, cursor: int, send: Callable[[WatchResponse], Awaitable[Any]]) -> None:
        await send(WatchResponse(head_revision=await self.read_head()))
        while True:
            # Taken before reading, so that a commit in between ends the wait below at once.
            generation = self._database.generation
            page = await self._after(cursor, generation)
            events = page.events
            if events:
                cursor = events[-1].revision
                watcher.tail = cursor if len(events) < PAGE else math.inf
                await send(page)
                if len(events) == PAGE:
                    continue
                await self._touch(watcher)
                if len(events) >= CROWD:
                    await self._gather(cursor)
                continue
            await self._touch(watcher)
            await self._database.wait_for_commit(generation, SLOW_POLL_SECONDS)

    async def _gather(self, cursor: int) -> None:
        """Let more commits come together behind this place, until one is urgent, a page is full or time is up."""
        if self._urgent > cursor or self.head >= cursor + PAGE:
            return
        self._full = min(self._full, cursor + PAGE)
        hurry = self._hurry
        with suppress(TimeoutError):
            async with asyncio.timeout(GATHER_SECONDS):
                await hurry.wait()

    async def _after(self, cursor: int, generation: int) -> WatchResponse:
        """Return the page behind a place. Watchers mostly stand at the same one, so the last page is kept."""
        key = (cursor, generation)
        if self._page[0] != key:
            rows = await self._database.read(_reader(cursor))
            if rows:
                self.advance(rows[-1][0])
            page = WatchResponse(events=[_event(*row) for row in rows], head_revision=self.head)
            self._page = (key, page)
        return self._page[1]

    async def _acknowledge(self, watcher: _Watcher, acknowledgements: AsyncIterator[WatchRequest]) -> None:
        async for request in acknowledgements:
            if request.applied_revision <= watcher.applied:
                continue
            watcher.applied = request.applied_revision
            if watcher.applied >= watcher.tail:
                watcher.lagging = False
            self._release(watcher)

    def _release(self, watcher: _Watcher, *, gone: bool = False) -> None:
        for barrier in self._barriers:
            if watcher in barrier.waiting and (gone or watcher.applied >= barrier.revision):
                barrier.waiting.discard(watcher)
                if not barrier.waiting:
                    barrier.done.set()

    def _drop(self, watcher: _Watcher) -> None:
        self._watchers.discard(watcher)
        self._registered[watcher.consumer] = self._clock.now()
        self._release(watcher, gone=True)

    def _everyone_is_here(self) -> bool:
        present = {watcher.consumer for watcher in self._watchers}
        since = self._clock.now() - LEASE
        return all(name in present or seen < since for name, seen in self._registered.items())

    async def _register(self, watcher: _Watcher) -> None:
        name, now = watcher.consumer, watcher.touched

        def body(connection: Connection) -> None:
            gone = floor(connection)
            if watcher.applied < gone:
                told = (
                    f"changes up to {gone} are gone, `{name}` has applied {watcher.applied}: it must start from a copy"
                )
                raise Precondition(Reason.INVALID_STATE, told, "source", self.source)
            values = {"name": name, "applied_revision": watcher.applied, "seen_time": now}
            try:
                connection.execute_unique(_REGISTER, values)
            except UniqueViolation:
                connection.execute(_SEEN, {"named": name, "seen": now, "applied": watcher.applied})

        await self._database.write(None, body)
        self._registered[name] = now

    async def _touch(self, watcher: _Watcher) -> None:
        now = self._clock.now()
        if now - watcher.touched < _TOUCH_EVERY:
            return
        watcher.touched = self._registered[watcher.consumer] = now
        values = {"named": watcher.consumer, "seen": now, "applied": watcher.applied}

        def body(connection: Connection) -> bool:
            connection.execute(_SEEN, values)
            return trim(connection, now, now - LEASE)

        written = await self._database.write(None, body, aside=True)
        if written.value:
            watcher.touched = now - _TOUCH_EVERY + _TRIM_AGAIN

    async def _read_registry(self) -> None:
        rows = await self._database.read(lambda connection: connection.execute(_REGISTERED).all())
        for name, seen in rows:
            self._registered[name] = max(seen, self._registered.get(name, seen))


def _reader(cursor: int) -> Callable[[Connection], list[tuple[int, bytes]]]:
    return lambda connection: [
        (row[0], row[1]) for row in connection.execute(_AFTER, {"cursor": cursor, "page": PAGE}).all()
    ]


def _event(revision: int, payload: bytes) -> ChangeEvent:
    event = ChangeEvent.FromString(payload)
    event.revision = revision
    return event

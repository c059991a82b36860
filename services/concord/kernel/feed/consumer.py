"""The consuming side: follows another service's changes and applies each exactly once."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from concord.common.v1.change_feed_service_pb2 import GetHeadRequest, WatchRequest
from concord.common.v1.change_feed_service_pb2_grpc import ChangeFeedServiceStub
from concord.common.v1.change_pb2 import ChangeEvent
from concord.kernel.errors import Unavailable
from concord.kernel.units import Unit, Units

CATCH_UP_SECONDS: Final = 5.0
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 5.0

_LOG = logging.getLogger(__name__)


class Consumer:
    """Applies the changes of `source` to the service `name`. `apply` gets a unit and one event.

    An event whose `apply` raises is tried again for ever and never passed over: a gap in what a
    service knows would be worse than a late answer, and the log says which event it is.
    """

    def __init__(
        self,
        *,
        name: str,
        source: str,
        units: Units[Any],
        apply: Callable[[Unit[Any], ChangeEvent], None],
        channel: Any,
        token: Callable[[], str] | None = None,
    ) -> None:
        self.name = name
        self.source = source
        self.cursor = 0
        """Everything up to here has been applied, durably."""
        self._units = units
        self._apply = apply
        self._stub: Any = ChangeFeedServiceStub(channel)
        self._token = token
        self._moved = asyncio.Event()
        units.attach(self)

    async def run(self) -> None:
        """Follow the source until cancelled, reconnecting for ever."""
        pause = _FIRST_PAUSE
        while True:
            before = self.cursor
            try:
                await self._follow()
            except Exception as error:
                _LOG.warning("feed %s of %s broke: %s", self.source, self.name, _describe(error))
            pause = _FIRST_PAUSE if self.cursor > before else min(pause * 2, _LONGEST_PAUSE)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads reconnects, guards nothing

    async def catch_up(self, seconds: float = CATCH_UP_SECONDS) -> None:
        """Return once everything the source had committed at the call is applied, else raise Unavailable."""
        try:
            async with asyncio.timeout(seconds):
                head = await self._stub.GetHead(GetHeadRequest(source=self.source), metadata=self._metadata())
                await self._reach(head.revision)
        except TimeoutError:
            raise self._late() from None
        except Unavailable:
            raise
        except Exception as error:
            _LOG.warning("head of %s is unknown to %s: %s", self.source, self.name, _describe(error))
            raise self._late() from None

    async def wait_until(self, revision: int, seconds: float = CATCH_UP_SECONDS) -> None:
        """Return once this revision is applied, else raise Unavailable."""
        if self.cursor >= revision:
            return
        try:
            async with asyncio.timeout(seconds):
                # Asked where it stands, the source sends what it still gathers. Unasked it does so a little later.
                with suppress(Exception):
                    await self._stub.GetHead(GetHeadRequest(source=self.source), metadata=self._metadata())
                await self._reach(revision)
        except TimeoutError:
            raise self._late() from None

    async def _reach(self, revision: int) -> None:
        while self.cursor < revision:
            await self._moved.wait()

    def _late(self) -> Unavailable:
        return Unavailable(f"changes of `{self.source}` have not all arrived yet")

    def _metadata(self) -> Sequence[tuple[str, str]]:
        return () if self._token is None else (("authorization", f"Bearer {self._token()}"),)

    async def _follow(self) -> None:
        self._move(await self._units.cursor(self.source))
        outgoing: asyncio.Queue[WatchRequest] = asyncio.Queue()
        outgoing.put_nowait(WatchRequest(source=self.source, consumer=self.name, from_revision=self.cursor))
        stream = self._stub.Watch(_drain(outgoing), metadata=self._metadata())
        try:
            async for response in stream:
                if response.head_revision < self.cursor:
                    # The source lost commits (a restored backup): its numbers name other changes now.
                    _LOG.error(
                        "%s has applied %s up to %d, whose head is %d",
                        self.name,
                        self.source,
                        self.cursor,
                        response.head_revision,
                    )
                if response.events:
                    await self._take(response.events)
                    outgoing.put_nowait(WatchRequest(applied_revision=self.cursor))
        finally:
            stream.cancel()

    async def _take(self, events: Sequence[ChangeEvent]) -> None:
        try:
            self._move(await self._units.apply(self.source, events, self._apply))
        except Exception:
            # One event of the page is at fault: the others need not wait for it.
            for event in events:
                await self._insist(event)

    async def _insist(self, event: ChangeEvent) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                self._move(await self._units.apply(self.source, [event], self._apply))
            except Exception:
                _LOG.exception(
                    "%s cannot apply revision %d (%s) of %s", self.name, event.revision, event.type, self.source
                )
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                return

    def _move(self, cursor: int) -> None:
        if cursor > self.cursor:
            self.cursor = cursor
            moved, self._moved = self._moved, asyncio.Event()
            moved.set()


async def _drain(outgoing: "asyncio.Queue[WatchRequest]") -> AsyncIterator[WatchRequest]:
    while True:
        yield await outgoing.get()


def _describe(error: Exception) -> str:
    code = getattr(error, "code", None)
    details = getattr(error, "details", None)
    if callable(code) and callable(details):
        return f"{code().name}: {details()}"
    return f"{type(error).__name__}: {error}"

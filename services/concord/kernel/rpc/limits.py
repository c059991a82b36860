"""Last step: how much one process, and one caller, may have going on at once, and for how long."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from concord.kernel.errors import ConcordError, RateLimited, Reason, Unavailable
from concord.kernel.rpc.call import Call
from concord.kernel.rpc.chain import IN_PROCESS_PEER, Context, Proceed
from concord.kernel.rpc.options import MethodRules

_RETRY_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class Ceilings:
    """How many calls may be served at once, and how long a unary one may take when its caller sets no earlier end."""

    calls: int = 4096
    calls_of_one_principal: int = 256
    streams: int = 1024
    seconds: float = 60.0


class Limits:
    """Counts calls in flight and ends those that take too long.

    The suite's own processes are not counted: refusing a call that was made in order to serve
    an accepted one would waste both.
    """

    def __init__(self, ceilings: Ceilings | None = None) -> None:
        self._ceilings = ceilings or Ceilings()
        self._calls = 0
        self._by_principal: dict[str, int] = {}
        self._streams: set[asyncio.Task[Any]] = set()
        self._ended: set[asyncio.Task[Any]] = set()
        self._overdue = _Overdue(self._ceilings.seconds)
        self._draining = False

    def drain(self) -> None:
        """End the streams from outside, which would never end by themselves; their callers come back elsewhere.

        Those within the process go on: calls that are still being served may wait for what they carry.
        """
        self._draining = True
        for task in tuple(self._streams):
            self._ended.add(task)
            task.cancel()

    def bind(self, rules: MethodRules, proceed: Proceed) -> Proceed:
        if rules.request_streaming or rules.response_streaming:
            return self._bind_stream(proceed)
        overdue = self._overdue

        async def limited(call: Call, request: Any, context: Context) -> Any:
            leave = self._enter(call)
            task = asyncio.current_task()
            assert task is not None
            overdue.watch(task)
            try:
                return await proceed(call, request, context)
            except asyncio.CancelledError:
                if overdue.cancelled(task):
                    raise ConcordError(Reason.DEADLINE_EXCEEDED, "the call took too long") from None
                raise
            finally:
                overdue.release(task)
                leave()

        return limited

    def _bind_stream(self, proceed: Proceed) -> Proceed:
        async def limited(call: Call, request: Any, context: Context) -> Any:
            if context.peer() == IN_PROCESS_PEER:
                return await proceed(call, request, context)
            if self._draining:
                raise Unavailable("the server stops")
            if len(self._streams) >= self._ceilings.streams:
                raise RateLimited(_RETRY_SECONDS, "the server holds as many streams as it may")
            task = asyncio.current_task()
            assert task is not None
            self._streams.add(task)
            try:
                return await proceed(call, request, context)
            except asyncio.CancelledError:
                if task in self._ended and task.uncancel() == 0:
                    raise Unavailable("the server stops") from None
                raise
            finally:
                self._streams.discard(task)
                self._ended.discard(task)

        return limited

    def _enter(self, call: Call) -> Callable[[], None]:
        passport = call.passport
        if passport is not None and passport.is_service:
            return _nothing
        if self._calls >= self._ceilings.calls:
            raise RateLimited(_RETRY_SECONDS, "the server is busy")
        if passport is None:
            self._calls += 1
            return self._leave_unnamed
        principal = passport.principal.id
        running = self._by_principal.get(principal, 0)
        if running >= self._ceilings.calls_of_one_principal:
            raise RateLimited(_RETRY_SECONDS, "the caller has too many calls going on at once")
        self._calls += 1
        self._by_principal[principal] = running + 1

        def leave() -> None:
            self._calls -= 1
            left = self._by_principal[principal] - 1
            if left:
                self._by_principal[principal] = left
            else:
                del self._by_principal[principal]

        return leave

    def _leave_unnamed(self) -> None:
        self._calls -= 1


class _Overdue:
    """Cancels calls that outlive the cap.

    All have the same cap, so those watched are in the order of their ends and one timer serves
    them all; a timer for each call would cost more than the rest of this step.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends: dict[asyncio.Task[Any], float] = {}
        self._cancelled: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, task: asyncio.Task[Any]) -> None:
        loop = task.get_loop()
        self._ends[task] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._sweep)

    def release(self, task: asyncio.Task[Any]) -> None:
        self._ends.pop(task, None)
        self._cancelled.discard(task)

    def cancelled(self, task: asyncio.Task[Any]) -> bool:
        """Tell whether it was the cap, and only the cap, that cancelled this task."""
        return task in self._cancelled and task.uncancel() == 0

    def _sweep(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        for task, end in tuple(self._ends.items()):
            if end > now:
                self._timer = loop.call_later(end - now, self._sweep)
                return
            del self._ends[task]
            self._cancelled.add(task)
            task.cancel()


def _nothing() -> None:
    """Leave without having entered."""

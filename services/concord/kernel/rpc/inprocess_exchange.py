"""The server's side of a call in process, and what it shares with the caller's side."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, Final, Never

import grpc
import grpc.aio

from concord.kernel.rpc.chain import IN_PROCESS_PEER
from concord.kernel.rpc.metadata import Pair

_QUEUE: Final = 8
DEADLINE_DETAILS: Final = "Deadline Exceeded"
CANCEL_DETAILS: Final = "Locally cancelled by application!"


class PipeBroken(Exception):
    """The other side reads no more."""


class Pipe:
    """One direction of a stream: a few serialized messages, then the end."""

    __slots__ = ("_broken", "_closed", "_items", "_loop", "_waiters")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._items: deque[bytes] = deque()
        self._waiters: list[asyncio.Future[None]] = []
        self._closed = False
        self._broken = False

    async def put(self, item: bytes) -> None:
        """Hand over a message; wait while the reader is behind. Raise PipeBroken when it will not be read."""
        while len(self._items) >= _QUEUE and not self._broken:
            await self._changed()
        if self._broken or self._closed:
            raise PipeBroken
        self._items.append(item)
        self._wake()

    async def get(self) -> bytes | None:
        """Return the next message, or None after the last."""
        while not self._items:
            if self._closed:
                return None
            await self._changed()
        item = self._items.popleft()
        self._wake()
        return item

    def close(self) -> None:
        """Say that no more messages come; those handed over are still read."""
        self._closed = True
        self._wake()

    def abandon(self) -> None:
        """Drop everything: nobody reads any more."""
        self._items.clear()
        self._closed = self._broken = True
        self._wake()

    async def _changed(self) -> None:
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        await waiter

    def _wake(self) -> None:
        # All of them: each looks again, so a waiter that was cancelled meanwhile takes nobody's turn.
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


class Exchange:
    """One call, as both sides know it. Its status is set once; what comes later is too late."""

    __slots__ = (
        "_callbacks",
        "_timer",
        "code",
        "deadline",
        "details",
        "done",
        "initial",
        "initial_sent",
        "locally_cancelled",
        "loop",
        "metadata",
        "request",
        "requests",
        "response",
        "responses",
        "task",
        "trailing",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, metadata: tuple[Pair, ...]) -> None:
        self.loop = loop
        self.metadata = metadata
        self.request = b""
        self.response = b""
        self.requests: Pipe | None = None
        self.responses: Pipe | None = None
        self.task: asyncio.Task[None] | None = None
        self.deadline: float | None = None
        self.code: grpc.StatusCode | None = None
        self.details = ""
        self.initial: tuple[Any, ...] = ()
        self.initial_sent: asyncio.Future[None] | None = None
        self.trailing: tuple[Any, ...] = ()
        self.locally_cancelled = False
        self.done: asyncio.Future[None] = loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._callbacks: list[Callable[[], None]] = []

    def expire_after(self, seconds: float) -> None:
        """Answer the caller at the deadline, whatever the server does then."""
        self.deadline = self.loop.time() + seconds
        self._timer = self.loop.call_later(max(0.0, seconds), self._expire)

    def finish(
        self,
        code: grpc.StatusCode,
        details: str = "",
        trailing: tuple[Any, ...] = (),
        response: bytes = b"",
    ) -> None:
        """Set the status, if none is set yet."""
        if self.code is not None:
            return
        self.code = code
        self.details = details
        self.trailing = trailing
        self.response = response
        if self._timer is not None:
            self._timer.cancel()
        if self.requests is not None:
            self.requests.abandon()
        if self.responses is not None:
            self.responses.close()
        if not self.done.done():
            self.done.set_result(None)
        for callback in self._callbacks:
            callback()

    def stop(self, code: grpc.StatusCode, details: str) -> None:
        """End the call from the caller's side, and the server's work with it."""
        self.finish(code, details)
        if self.responses is not None:
            self.responses.abandon()
        if self.task is not None:
            self.task.cancel()

    def when_done(self, callback: Callable[[], None]) -> None:
        """Call back once the status is set."""
        if self.code is None:
            self._callbacks.append(callback)
        else:
            callback()

    def send_initial(self, metadata: Iterable[Any]) -> None:
        """Let the caller see the initial metadata."""
        self.initial = tuple(metadata)
        if self.initial_sent is None:
            self.initial_sent = self.loop.create_future()
        if not self.initial_sent.done():
            self.initial_sent.set_result(None)

    def _expire(self) -> None:
        self.stop(grpc.StatusCode.DEADLINE_EXCEEDED, DEADLINE_DETAILS)


class ServerContext(grpc.aio.ServicerContext[Any, Any]):
    """What a handler sees of its call."""

    def __init__(self, exchange: Exchange, handler: Any, maximum_message: int) -> None:
        self._exchange = exchange
        self._handler = handler
        self._maximum_message = maximum_message
        self._code: grpc.StatusCode = grpc.StatusCode.OK
        self._details = ""
        self._trailing: tuple[Any, ...] = ()

    def status(self) -> tuple[grpc.StatusCode, str, tuple[Any, ...]]:
        """Return what the handler has set so far."""
        return self._code, self._details, self._trailing

    async def requests(self) -> AsyncIterator[Any]:
        """Yield the caller's messages until it is done writing."""
        while (message := await self.read()) is not grpc.aio.EOF:
            yield message

    async def read(self) -> Any:
        pipe = self._exchange.requests
        if pipe is None:
            raise grpc.aio.UsageError("the call has one request only")
        data = await pipe.get()
        if data is None:
            return grpc.aio.EOF
        if len(data) > self._maximum_message:
            await self.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"SERVER: Received message larger than max ({len(data)} vs. {self._maximum_message})",
            )
        return self._handler.request_deserializer(data)

    async def write(self, message: Any) -> None:
        pipe = self._exchange.responses
        if pipe is None:
            raise grpc.aio.UsageError("the call has one response only")
        if self._exchange.initial_sent is None:
            self._exchange.send_initial(())
        try:
            await pipe.put(self._handler.response_serializer(message))
        except PipeBroken:
            # The caller is gone; its cancellation of this task is on the way.
            raise asyncio.CancelledError from None

    async def send_initial_metadata(self, initial_metadata: Any) -> None:
        self._exchange.send_initial(initial_metadata)

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()) -> Never:
        if code is grpc.StatusCode.OK:
            raise ValueError("abort needs a code that is not OK")
        self._code = code
        self._details = details
        self._trailing = tuple(trailing_metadata)
        raise grpc.aio.AbortError("Locally aborted.")

    async def abort_with_status(self, status: Any) -> Never:
        await self.abort(status.code, status.details, status.trailing_metadata)

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        self._trailing = tuple(trailing_metadata)

    def trailing_metadata(self) -> Any:
        return self._trailing

    def invocation_metadata(self) -> Any:
        return self._exchange.metadata

    def set_code(self, code: grpc.StatusCode) -> None:
        self._code = code

    def set_details(self, details: str) -> None:
        self._details = details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details

    def set_compression(self, compression: grpc.Compression) -> None:
        """Compress nothing: no bytes travel."""

    def disable_next_message_compression(self) -> None:
        """Compress nothing: no bytes travel."""

    def peer(self) -> str:
        return IN_PROCESS_PEER

    def peer_identities(self) -> Iterable[bytes] | None:
        return None

    def peer_identity_key(self) -> str | None:
        return None

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        return {}

    def time_remaining(self) -> Any:
        deadline = self._exchange.deadline
        return None if deadline is None else max(0.0, deadline - self._exchange.loop.time())

    def add_done_callback(self, callback: Any) -> None:
        self._exchange.when_done(lambda: callback(self))

    def cancelled(self) -> bool:
        return self._exchange.code is grpc.StatusCode.CANCELLED

    def done(self) -> bool:
        return self._exchange.code is not None

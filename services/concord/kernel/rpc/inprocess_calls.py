"""The caller's side of a call in process: the objects that stubs return."""

import asyncio
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import suppress
from typing import Any

import grpc
import grpc.aio

from concord.kernel.rpc.inprocess_exchange import CANCEL_DETAILS, Exchange, PipeBroken


class _Call:
    """What all four kinds of call share."""

    def __init__(self, exchange: Exchange, deserialize: Callable[[bytes], Any]) -> None:
        self._exchange = exchange
        self._deserialize = deserialize

    def __del__(self) -> None:
        # Nobody can learn the answer any more, so nobody need work on it. The loop may be closed already.
        exchange = self._exchange
        if exchange.code is None and not exchange.loop.is_closed():
            exchange.stop(grpc.StatusCode.CANCELLED, "the call was dropped")

    def cancelled(self) -> bool:
        return self._exchange.code is grpc.StatusCode.CANCELLED

    def done(self) -> bool:
        return self._exchange.code is not None

    def time_remaining(self) -> float | None:
        deadline = self._exchange.deadline
        return None if deadline is None else max(0.0, deadline - self._exchange.loop.time())

    def cancel(self) -> bool:
        exchange = self._exchange
        if exchange.code is not None:
            return False
        exchange.locally_cancelled = True
        exchange.stop(grpc.StatusCode.CANCELLED, CANCEL_DETAILS)
        return True

    def add_done_callback(self, callback: Any) -> None:
        self._exchange.when_done(lambda: callback(self))

    async def initial_metadata(self) -> grpc.aio.Metadata:
        exchange = self._exchange
        if exchange.code is None and exchange.initial_sent is None:
            exchange.initial_sent = exchange.loop.create_future()
        if exchange.code is None and exchange.initial_sent is not None:
            await asyncio.wait({exchange.initial_sent, exchange.done}, return_when=asyncio.FIRST_COMPLETED)
        return grpc.aio.Metadata(*exchange.initial)

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        await self._end()
        return grpc.aio.Metadata(*self._exchange.trailing)

    async def code(self) -> grpc.StatusCode:
        await self._end()
        code = self._exchange.code
        assert code is not None
        return code

    async def details(self) -> str:
        await self._end()
        return self._exchange.details

    async def debug_error_string(self) -> str:
        await self._end()
        return ""

    async def wait_for_connection(self) -> None:
        """Wait for nothing: there is no connection."""

    async def _end(self) -> None:
        if self._exchange.code is None:
            # wait() leaves the future alone when the one who waits is cancelled.
            await asyncio.wait({self._exchange.done})

    def _raise_for_status(self) -> None:
        exchange = self._exchange
        code = exchange.code
        if code is grpc.StatusCode.OK:
            return
        if exchange.locally_cancelled:
            raise asyncio.CancelledError
        assert code is not None
        raise grpc.aio.AioRpcError(
            code,
            grpc.aio.Metadata(*exchange.initial),
            grpc.aio.Metadata(*exchange.trailing),
            details=exchange.details,
        )


class _OneResponse(_Call):
    """Calls that are awaited for their one response."""

    def __await__(self) -> Generator[Any, None, Any]:
        exchange = self._exchange
        if exchange.code is None:
            try:
                yield from exchange.done
            except asyncio.CancelledError:
                self.cancel()
                raise
        if exchange.code is not grpc.StatusCode.OK:
            self._raise_for_status()
        return self._deserialize(exchange.response)


class _ManyResponses(_Call):
    """Calls whose responses are read one by one."""

    def __aiter__(self) -> AsyncIterator[Any]:
        return _Responses(self)

    async def read(self) -> Any:
        pipe = self._exchange.responses
        assert pipe is not None
        try:
            data = await pipe.get()
        except asyncio.CancelledError:
            self.cancel()
            raise
        if data is None:
            await self._end()
            self._raise_for_status()
            return grpc.aio.EOF
        return self._deserialize(data)


class _Responses:
    def __init__(self, call: _ManyResponses) -> None:
        self._call = call

    def __aiter__(self) -> "_Responses":
        return self

    async def __anext__(self) -> Any:
        response = await self._call.read()
        if response is grpc.aio.EOF:
            raise StopAsyncIteration
        return response


class _ManyRequests(_Call):
    """Calls whose requests are written one by one, or taken from an iterator."""

    def __init__(
        self, exchange: Exchange, deserialize: Callable[[bytes], Any], pack: Callable[[Any], bytes], iterator: Any
    ) -> None:
        super().__init__(exchange, deserialize)
        self._pack = pack
        self._half_closed = False
        self._iterates = iterator is not None
        if self._iterates:
            # Neither the task nor its callback holds this object, so that a dropped call still ends.
            feeder = exchange.loop.create_task(_feed(exchange, pack, iterator))
            exchange.when_done(lambda: _cancel(feeder))

    async def write(self, request: Any) -> None:
        if self._iterates:
            raise grpc.aio.UsageError("the call takes its requests from an iterator")
        if self._exchange.code is not None:
            raise asyncio.InvalidStateError("RPC already finished.")
        if self._half_closed:
            raise asyncio.InvalidStateError('RPC is half closed after calling "done_writing".')
        pipe = self._exchange.requests
        assert pipe is not None
        try:
            await pipe.put(self._pack(request))
        except asyncio.CancelledError:
            self.cancel()
            raise
        except PipeBroken:
            await self._end()
            self._raise_for_status()
            raise asyncio.InvalidStateError("RPC already finished.") from None

    async def done_writing(self) -> None:
        if self._iterates:
            raise grpc.aio.UsageError("the call takes its requests from an iterator")
        if self._exchange.code is None and not self._half_closed:
            self._half_closed = True
            pipe = self._exchange.requests
            assert pipe is not None
            pipe.close()


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


async def _feed(exchange: Exchange, pack: Callable[[Any], bytes], iterator: Any) -> None:
    pipe = exchange.requests
    assert pipe is not None
    with suppress(PipeBroken):
        try:
            if hasattr(iterator, "__aiter__"):
                async for request in iterator:
                    await pipe.put(pack(request))
            else:
                for request in iterator:
                    await pipe.put(pack(request))
        except (asyncio.CancelledError, PipeBroken):
            raise
        except Exception:
            # The rest of the requests will never come.
            exchange.locally_cancelled = True
            exchange.stop(grpc.StatusCode.CANCELLED, CANCEL_DETAILS)
        else:
            pipe.close()


class UnaryUnary(_OneResponse, grpc.aio.UnaryUnaryCall[Any, Any]):
    """One request, one response."""


class UnaryStream(_ManyResponses, grpc.aio.UnaryStreamCall[Any, Any]):
    """One request, many responses."""


class StreamUnary(_OneResponse, _ManyRequests, grpc.aio.StreamUnaryCall[Any, Any]):
    """Many requests, one response."""


class StreamStream(_ManyResponses, _ManyRequests, grpc.aio.StreamStreamCall[Any, Any]):
    """Many requests, many responses."""

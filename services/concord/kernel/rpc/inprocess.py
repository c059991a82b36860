"""A channel and a server that meet without a socket. Stubs and servicers cannot tell the difference.

Messages are copied by serializing them, each call is a task of its own in an empty context, and
the same chain runs as on the wire: what works here works there.
"""

import asyncio
from collections.abc import Mapping
from contextvars import Context
from types import TracebackType
from typing import Any, Final

import grpc
import grpc.aio

from concord.kernel.rpc.chain import Chain, Handler
from concord.kernel.rpc.inprocess_calls import StreamStream, StreamUnary, UnaryStream, UnaryUnary
from concord.kernel.rpc.inprocess_exchange import Exchange, Pipe, ServerContext
from concord.kernel.rpc.metadata import checked
from concord.kernel.rpc.options import MethodRules, find_rules

MAXIMUM_MESSAGE: Final = 4 * 1024 * 1024


class InProcessServer:
    """Holds servicers; looks like a gRPC server to the generated `add_…_to_server` functions."""

    def __init__(self, chain: Chain, maximum_message: int = MAXIMUM_MESSAGE) -> None:
        self._chain = chain
        self._methods: dict[str, _Method] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._stopping = False
        self.maximum_message = maximum_message

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """Take nothing: generated code registers the same methods by name too."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Handler]) -> None:
        """Mount a service's methods, each behind the chain."""
        for name, handler in handlers.items():
            path = f"/{service}/{name}"
            self._methods[path] = _Method(self._chain.wrap(path, handler))

    @property
    def services(self) -> tuple[str, ...]:
        """Names of the services mounted here."""
        return tuple(sorted({path.split("/")[1] for path in self._methods}))

    def start(self, exchange: Exchange, path: str) -> None:
        """Begin to serve one call."""
        method = self._methods.get(path)
        if self._stopping:
            exchange.finish(grpc.StatusCode.UNAVAILABLE, "the server stops")
        elif method is None:
            exchange.finish(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        elif exchange.requests is None and len(exchange.request) > self.maximum_message:
            exchange.finish(grpc.StatusCode.RESOURCE_EXHAUSTED, self._too_large("SERVER", len(exchange.request)))
        else:
            # An empty context: nothing but metadata reaches the other side of a wire either.
            task = asyncio.get_running_loop().create_task(self._serve(exchange, method), context=Context())
            exchange.task = task
            # The loop itself holds tasks weakly.
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def stop(self, grace: float | None = None) -> None:
        """Refuse new calls, let the running ones finish within the limit, then cancel what is left."""
        self._stopping = True
        running = set(self._running)
        if running and grace:
            _, running = await asyncio.wait(running, timeout=grace)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    async def _serve(self, exchange: Exchange, method: "_Method") -> None:
        handler = method.handler
        context = ServerContext(exchange, handler, self.maximum_message)
        payload = b""
        try:
            request = (
                context.requests() if handler.request_streaming else handler.request_deserializer(exchange.request)
            )
            response = await method.function(request, context)
            if not handler.response_streaming:
                payload = handler.response_serializer(response)
                if len(payload) > self.maximum_message:
                    exchange.finish(grpc.StatusCode.RESOURCE_EXHAUSTED, self._too_large("CLIENT", len(payload)))
        except grpc.aio.AbortError:
            exchange.finish(*context.status())
        except asyncio.CancelledError:
            exchange.finish(grpc.StatusCode.CANCELLED, "the server stops")
            raise
        except Exception:
            # The chain answers everything; what still comes here is a defect of the chain, and says nothing.
            exchange.finish(grpc.StatusCode.INTERNAL, "internal error")
        else:
            exchange.finish(*context.status(), payload)

    def _too_large(self, side: str, size: int) -> str:
        return f"{side}: Received message larger than max ({size} vs. {self.maximum_message})"


class _Method:
    __slots__ = ("function", "handler")

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.function = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream


class _Callable:
    """One method of a stub."""

    def __init__(self, channel: "InProcessChannel", path: str, serialize: Any, deserialize: Any) -> None:
        self._channel = channel
        self._path = path
        self._serialize = serialize
        self._deserialize = deserialize
        self._rules: MethodRules | None = None

    def _exchange(self, timeout: float | None, metadata: Any, *, streams: bool, returns_stream: bool) -> Exchange:
        self._channel.require_open()
        exchange = Exchange(asyncio.get_running_loop(), checked(metadata) if metadata else ())
        if streams:
            exchange.requests = Pipe(exchange.loop)
        if returns_stream:
            exchange.responses = Pipe(exchange.loop)
        if timeout is not None:
            exchange.expire_after(timeout)
        return exchange

    def _start(self, exchange: Exchange) -> None:
        self._channel.server.start(exchange, self._path)

    def _pack(self, request: Any) -> bytes:
        rules = self._rules
        if rules is None:
            rules = self._rules = find_rules(self._path)
        # protobuf would serialize another message without a word, and the server would read nonsense.
        if rules is not None and type(request) is not rules.request_type:
            raise TypeError(f"`{rules.rpc}` takes a {rules.request_type.__name__}, not a {type(request).__name__}")
        packed: bytes = self._serialize(request)
        return packed


class _UnaryUnaryCallable(_Callable, grpc.aio.UnaryUnaryMultiCallable[Any, Any]):
    def __call__(
        self,
        request: Any,
        *,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: Any = None,
        compression: Any = None,
    ) -> Any:
        exchange = self._exchange(timeout, metadata, streams=False, returns_stream=False)
        exchange.request = self._pack(request)
        self._start(exchange)
        return UnaryUnary(exchange, self._deserialize)


class _UnaryStreamCallable(_Callable, grpc.aio.UnaryStreamMultiCallable[Any, Any]):
    def __call__(
        self,
        request: Any,
        *,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: Any = None,
        compression: Any = None,
    ) -> Any:
        exchange = self._exchange(timeout, metadata, streams=False, returns_stream=True)
        exchange.request = self._pack(request)
        self._start(exchange)
        return UnaryStream(exchange, self._deserialize)


class _StreamUnaryCallable(_Callable, grpc.aio.StreamUnaryMultiCallable[Any, Any]):
    def __call__(
        self,
        request_iterator: Any = None,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: Any = None,
        compression: Any = None,
    ) -> Any:
        exchange = self._exchange(timeout, metadata, streams=True, returns_stream=False)
        self._start(exchange)
        return StreamUnary(exchange, self._deserialize, self._pack, request_iterator)


class _StreamStreamCallable(_Callable, grpc.aio.StreamStreamMultiCallable[Any, Any]):
    def __call__(
        self,
        request_iterator: Any = None,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: Any = None,
        compression: Any = None,
    ) -> Any:
        exchange = self._exchange(timeout, metadata, streams=True, returns_stream=True)
        self._start(exchange)
        return StreamStream(exchange, self._deserialize, self._pack, request_iterator)


class InProcessChannel(grpc.aio.Channel):
    """The way to an InProcessServer, for generated stubs."""

    def __init__(self, server: InProcessServer) -> None:
        self.server = server
        self._closed = False

    def require_open(self) -> None:
        """Raise UsageError after `close()`."""
        if self._closed:
            raise grpc.aio.UsageError("Channel is closed.")

    async def __aenter__(self) -> "InProcessChannel":
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        self._closed = True

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return grpc.ChannelConnectivity.SHUTDOWN if self._closed else grpc.ChannelConnectivity.READY

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        if self.get_state() is last_observed_state:
            # It only ever changes by `close()`, which no one waits for.
            await asyncio.get_running_loop().create_future()

    async def channel_ready(self) -> None:
        self.require_open()

    def unary_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: Any = False,
    ) -> Any:
        return _UnaryUnaryCallable(self, method, request_serializer, response_deserializer)

    def unary_stream(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: Any = False,
    ) -> Any:
        return _UnaryStreamCallable(self, method, request_serializer, response_deserializer)

    def stream_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: Any = False,
    ) -> Any:
        return _StreamUnaryCallable(self, method, request_serializer, response_deserializer)

    def stream_stream(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: Any = False,
    ) -> Any:
        return _StreamStreamCallable(self, method, request_serializer, response_deserializer)

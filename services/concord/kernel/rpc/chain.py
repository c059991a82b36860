"""What wraps every call, on every transport. The order of the steps stands here and nowhere else.

A step is bound once to each rpc, so that nothing about the rpc is worked out while a call waits.
Streaming handlers become coroutines that write to the context: one step serves all four kinds of
rpc, and what it does after `proceed` happens when the stream has ended.
"""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, Final, Protocol

import grpc
import grpc.aio

from concord.kernel.rpc.call import CURRENT, Call
from concord.kernel.rpc.options import MethodRules, get_rules

# What the transport within the process calls the other side.
IN_PROCESS_PEER: Final = "inprocess:"

Context = grpc.aio.ServicerContext[Any, Any]
Handler = Any  # grpc.RpcMethodHandler: its attributes are not declared in the stubs
Proceed = Callable[[Call, Any, Context], Awaitable[Any]]


class Step(Protocol):
    """One concern of all rpcs."""

    def bind(self, rules: MethodRules, proceed: Proceed) -> Proceed:
        """Return what runs in place of `proceed` for this rpc; `proceed` itself where there is nothing to do."""


class Chain:
    """The steps of a process, composed for each rpc."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = tuple(steps)

    def wrap(self, path: str, handler: Handler) -> Handler:
        """Return a handler that runs the steps and then this handler."""
        rules = get_rules(path)
        proceed = _innermost(rules, _function_of(handler))
        for step in reversed(self._steps):
            proceed = step.bind(rules, proceed)

        async def serve(request: Any, context: Context) -> Any:
            call = Call(rules)
            CURRENT.set(call)
            return await proceed(call, request, context)

        return _handler_maker(handler)(serve, handler.request_deserializer, handler.response_serializer)


async def _refuse(requests: Any, context: Any) -> None:
    await context.abort(grpc.StatusCode.UNAVAILABLE, "the server stops")


# A stream on both sides is refused before anything of it is read, whatever the caller takes the method for.
_REFUSAL: Final[Handler] = grpc.stream_stream_rpc_method_handler(_refuse)
# Whoever balances load asks until the very end.
_ALWAYS_ANSWERED: Final = "/grpc.health.v1.Health/"


class ChainInterceptor(grpc.aio.ServerInterceptor):
    """Mounts a chain on a gRPC server."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._wrapped: dict[str, Handler] = {}
        self._refused = False

    def refuse(self) -> None:
        """Refuse every call that arrives from now on."""
        self._refused = True

    async def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]], details: grpc.HandlerCallDetails
    ) -> Handler:
        path: str = details.method  # type: ignore[attr-defined, unused-ignore]  # declared loosely in the stubs
        if self._refused and not path.startswith(_ALWAYS_ANSWERED):
            return _REFUSAL
        wrapped = self._wrapped.get(path)
        if wrapped is not None:
            return wrapped
        handler = await continuation(details)
        if handler is None:
            # Not served here. Not remembered either: callers choose these names.
            return None
        wrapped = self._wrapped[path] = self._chain.wrap(path, handler)
        return wrapped


def _innermost(rules: MethodRules, function: Callable[[Any, Context], Any]) -> Proceed:
    """Return the handler itself in the shape of a step's `proceed`."""
    response_type = rules.response_type
    if not rules.response_streaming:

        async def answer(call: Call, request: Any, context: Context) -> Any:
            response = await function(request, context)
            # protobuf serializes any message as any other; the mistake would reach the caller as garbage.
            if type(response) is not response_type:
                raise TypeError(f"`{rules.rpc}` answered with a {type(response).__name__}")
            return response

        return answer
    if not inspect.isasyncgenfunction(function):

        async def write_itself(call: Call, request: Any, context: Context) -> None:
            await function(request, context)

        return write_itself

    async def write(call: Call, request: Any, context: Context) -> None:
        async with aclosing(function(request, context)) as responses:
            async for response in responses:
                if type(response) is not response_type:
                    raise TypeError(f"`{rules.rpc}` answered with a {type(response).__name__}")
                await context.write(response)

    return write


def _function_of(handler: Handler) -> Callable[[Any, Context], Any]:
    function: Callable[[Any, Context], Any] = (
        handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    )
    return function


def _handler_maker(handler: Handler) -> Callable[..., Handler]:
    if handler.request_streaming:
        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler
        return grpc.stream_unary_rpc_method_handler
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler
    return grpc.unary_unary_rpc_method_handler

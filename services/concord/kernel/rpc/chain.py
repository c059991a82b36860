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


# Whoever balances load asks until the very end.
_ALWAYS_ANSWERED: Final = "grpc.health.v1.Health"


class Gate:
    """Stands before the handlers of a server that may stop: open, then closed for good."""

    def __init__(self) -> None:
        self._closed = False

    def close(self) -> None:
        """Refuse every call that arrives from now on."""
        self._closed = True

    def wrap(self, service: str, handler: Handler) -> Handler:
        """Return a handler that does what this one does while the gate is open."""
        if service == _ALWAYS_ANSWERED:
            return handler
        proceed = _function_of(handler)

        async def pass_through(request: Any, context: Context) -> Any:
            if self._closed:
                # A stream is refused before anything of it is read.
                await context.abort(grpc.StatusCode.UNAVAILABLE, "the server stops")
            return await proceed(request, context)

        return _handler_maker(handler)(pass_through, handler.request_deserializer, handler.response_serializer)


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

"""One vendor call while it is carried out: what was asked, who asks, and the way to the core."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from google.protobuf.message import Message
from grpc import StatusCode
from grpc.aio import AioRpcError

from concord.common.v1.principal_pb2 import PrincipalRef
from concord.gateway.authentication import Admission, Metadata
from concord.gateway.http import Request
from concord.gateway.route import Route
from concord.gateway.upstream import Upstream
from concord.kernel.clock import Clock
from concord.kernel.errors import ConcordError, Reason
from concord.kernel.rpc.status import from_rpc_error

# All core calls of one vendor call share this time.
CALL_SECONDS = 15.0

M = TypeVar("M", bound=Message)
A = TypeVar("A")
B = TypeVar("B")

Stub = Callable[..., Awaitable[M]]


class Call:
    """What a handler gets. It talks to the core through `ask` alone, so that no call lacks its metadata."""

    __slots__ = (
        "_admission",
        "_deadline",
        "_operation",
        "_service_token",
        "base",
        "body",
        "clock",
        "core",
        "path",
        "query",
        "request",
        "route",
    )

    def __init__(
        self,
        *,
        request: Request,
        route: Route,
        operation: str,
        core: Upstream,
        clock: Clock,
        admission: Admission,
        service_token: Callable[[], str],
        deadline: float,
        base: str,
        query: Any = None,
        body: Any = None,
    ) -> None:
        self.request = request
        self.route = route
        self.path = request.path_values
        self.query: Any = query
        self.body: Any = body
        self.core = core
        self.clock = clock
        self._operation = operation
        self._admission = admission
        self._service_token = service_token
        self._deadline = deadline
        # Under which address clients know this deployment: what was set, or where the shim listens.
        self.base = base

    @property
    def principal(self) -> PrincipalRef:
        """Who calls. Only to fill in what was left out: what the caller may do is for the core to say."""
        return self._admission.principal

    async def ask(self, method: Stub[M], message: Message, *, operation: str = "") -> M:
        """Call the core in the caller's name. Its refusals are raised as errors of the kernel.

        A passport from memory may have ended since: then the credential is examined once more.
        Another operation is claimed only where a step is one of its own (undoing a creation is a deletion).
        """
        claim = operation or self._operation
        try:
            return await method(message, metadata=self._metadata(claim), timeout=self._remaining())
        except AioRpcError as error:
            if error.code() is not StatusCode.UNAUTHENTICATED or not self._admission.remembered:
                raise from_rpc_error(error) from None
        await self._admission.renew(self._remaining())
        try:
            return await method(message, metadata=self._metadata(claim), timeout=self._remaining())
        except AioRpcError as error:
            raise from_rpc_error(error) from None

    async def both(self, first: Coroutine[Any, Any, A], second: Coroutine[Any, Any, B]) -> tuple[A, B]:
        """Run two independent questions at once. The first one's refusal is the one that is told."""
        other = asyncio.ensure_future(second)
        try:
            answer = await first
        except BaseException:
            other.cancel()
            # A refusal of the second that nobody will look at is not an unhandled one.
            await asyncio.gather(other, return_exceptions=True)
            raise
        return answer, await other

    def _metadata(self, operation: str) -> Metadata:
        return self._admission.metadata(operation, self._service_token())

    def _remaining(self) -> float:
        left = self._deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise ConcordError(Reason.DEADLINE_EXCEEDED, "the deadline passed")
        return left

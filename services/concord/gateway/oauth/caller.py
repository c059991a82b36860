"""Calls of the core: in the name of whoever shows a credential, or in the gateway's own where the proof is inside."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from google.protobuf.message import Message
from grpc import StatusCode
from grpc.aio import AioRpcError

from concord.credentials.v1.authentication_service_pb2 import AuthenticateRequest
from concord.gateway.authentication import Authentication
from concord.gateway.http import Request
from concord.gateway.upstream import Upstream
from concord.kernel.errors import ConcordError, Reason
from concord.kernel.rpc.metadata import AUTHORIZATION, CALLER_ADDRESS, CALLER_AGENT
from concord.kernel.rpc.status import from_rpc_error

CALL_SECONDS = 15.0

M = TypeVar("M", bound=Message)
Stub = Callable[..., Awaitable[M]]


class Caller:
    """One request's way to the core."""

    def __init__(
        self,
        upstream: Upstream,
        authentication: Authentication,
        service_token: Callable[[], str],
        request: Request,
    ) -> None:
        self.core = upstream
        self._authentication = authentication
        self._service_token = service_token
        self._request = request
        self._deadline = asyncio.get_running_loop().time() + CALL_SECONDS

    async def ask(self, method: Stub[M], message: Any) -> M:
        """Ask something whose proof is in the message. The core learns from the gateway's token who asks for whom."""
        own = (
            (AUTHORIZATION, f"Bearer {self._service_token()}"),
            (CALLER_ADDRESS, self._request.address),
            (CALLER_AGENT, self._request.agent),
        )
        try:
            return await method(message, metadata=own, timeout=self._remaining())
        except AioRpcError as error:
            raise from_rpc_error(error) from None

    async def ask_as(self, credential: AuthenticateRequest, shown: tuple[str, ...], method: Stub[M], message: Any) -> M:
        """Ask in the name of whoever shows a credential. A passport from memory is renewed where it is refused."""
        credential.caller_address, credential.caller_agent = self._request.address, self._request.agent
        key = self._authentication.key("oauth", self._request.address, self._request.agent, *shown)
        admission = await self._authentication.admit(key, lambda: credential, within=self._remaining())
        try:
            return await method(
                message, metadata=admission.metadata("", self._service_token()), timeout=self._remaining()
            )
        except AioRpcError as error:
            if error.code() is not StatusCode.UNAUTHENTICATED or not admission.remembered:
                raise from_rpc_error(error) from None
        await admission.renew(self._remaining())
        try:
            return await method(
                message, metadata=admission.metadata("", self._service_token()), timeout=self._remaining()
            )
        except AioRpcError as error:
            raise from_rpc_error(error) from None

    async def examine(self, credential: AuthenticateRequest, shown: tuple[str, ...]) -> None:
        """Raise where a credential is not good now: no call follows that would tell of a passport from memory."""
        credential.caller_address, credential.caller_agent = self._request.address, self._request.agent
        key = self._authentication.key("oauth", self._request.address, self._request.agent, *shown)
        self._authentication.forget(key)
        await self._authentication.admit(key, lambda: credential, within=self._remaining())

    def _remaining(self) -> float:
        left = self._deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise ConcordError(Reason.DEADLINE_EXCEEDED, "the deadline passed")
        return left

"""A core that answers what a test tells it, and a way to send the shim requests without a socket."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import unquote, urlsplit

from prometheus_client import CollectorRegistry

from concord.common.v1.passport_pb2 import Passport
from concord.credentials.v1.authentication_service_pb2 import AuthenticateRequest, AuthenticateResponse
from concord.gateway.app import App
from concord.gateway.upstream import Upstream
from concord.kernel.clock import SettableClock
from concord.kernel.errors import ConcordError, Unimplemented
from concord.kernel.rpc.status import to_rpc_error

SECRET_KEY = "11111111-2222-4333-8444-555555555555"
ORGANIZATION = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
AUTHENTICATE = "concord.credentials.v1.AuthenticationService/Authenticate"


@dataclass
class Asked:
    """One call that the core got."""

    rpc: str
    message: Any
    metadata: dict[str, str]
    timeout: float


class FakeCore:
    """Answers by rpc: with a message, a function of the request, or by raising an error of the kernel."""

    def __init__(self, clock: SettableClock) -> None:
        self.clock = clock
        self.answers: dict[str, Any] = {AUTHENTICATE: self.authenticate}
        self.asked: list[Asked] = []

    def authenticate(self, request: AuthenticateRequest) -> AuthenticateResponse:
        """Hand out a passport that tells how many there were before it."""
        response = AuthenticateResponse(passport=f"passport-{len(self.calls('Authenticate'))}", content=Passport())
        response.expire_time.FromDatetime((self.clock.now() + timedelta(minutes=5)).replace(tzinfo=None))
        return response

    def calls(self, name: str) -> list[Asked]:
        """Return the calls of one rpc."""
        return [asked for asked in self.asked if asked.rpc.endswith("/" + name)]

    def channel(self, service: str) -> Any:
        """Return the channel of a service."""
        return _Channel(self)

    async def answer(self, rpc: str, message: Any, metadata: Any, timeout: float) -> Any:
        copy = type(message)()
        copy.CopyFrom(message)
        self.asked.append(Asked(rpc, copy, dict(metadata), timeout))
        await asyncio.sleep(0)
        answer = self.answers.get(rpc.rpartition("/")[2], self.answers.get(rpc))
        if answer is None:
            answer = Unimplemented(f"the test gave no answer for {rpc}")
        try:
            if callable(answer) and not isinstance(answer, Exception):
                answer = answer(message)
            if isinstance(answer, Exception):
                raise answer
        except ConcordError as error:
            raise to_rpc_error(error) from None
        return answer


class _Channel:
    def __init__(self, core: FakeCore) -> None:
        self._core = core

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Callable[..., Awaitable[Any]]:
        def call(message: Any, *, metadata: Any = (), timeout: float = 0) -> Awaitable[Any]:
            return self._core.answer(method.removeprefix("/"), message, metadata, timeout)

        return call

    unary_stream = stream_unary = stream_stream = unary_unary


@dataclass
class Scope:
    """A request's scope as the server would make it."""

    method: str
    path: str
    query_string: str
    pairs: list[tuple[str, str]]
    client: str = "192.0.2.7:50000"
    scheme: str = "http"
    proto: str = "http"

    @property
    def headers(self) -> "Scope":
        return self

    def get(self, key: str, default: Any = None) -> Any:
        return next((value for name, value in self.pairs if name == key), default)

    def items(self) -> list[tuple[str, str]]:
        return self.pairs


@dataclass
class Protocol:
    """A connection that keeps what it is sent."""

    body: list[bytes]
    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    content: bytes = b""
    read: int = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.body:
            self.read += 1
            yield chunk

    def response_empty(self, status: int, headers: list[tuple[str, str]]) -> None:
        self.status, self.headers = status, headers

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status, self.headers, self.content = status, headers, body

    def json(self) -> Any:
        """Return the body as values."""
        return json.loads(self.content)

    def header(self, name: str) -> str | None:
        """Return a header's value."""
        return next((value for key, value in self.headers if key == name), None)


class Shim:
    """The shim over a fake core."""

    def __init__(self) -> None:
        self.clock = SettableClock()
        self.core = FakeCore(self.clock)
        self.app = App(
            upstream=Upstream(self.core.channel),
            service_token=lambda: "gateway-token",
            clock=self.clock,
            caller_address=lambda client, headers: client.rpartition(":")[0],
            registry=CollectorRegistry(),
        )

    async def send(
        self,
        method: str,
        target: str,
        body: Any = None,
        *,
        token: str | None = SECRET_KEY,
        headers: dict[str, str] | None = None,
        chunks: list[bytes] | None = None,
    ) -> Protocol:
        """Send a request and return what came back."""
        parts = urlsplit(target)
        content = chunks if chunks is not None else ([] if body is None else [json.dumps(body).encode()])
        pairs = [("host", "shim"), ("user-agent", "test/1")]
        if token is not None:
            pairs.append(("x-auth-token", token))
        if content and not (headers and "transfer-encoding" in headers):
            pairs.append(("content-length", str(sum(map(len, content)))))
        pairs += (headers or {}).items()
        protocol = Protocol(content)
        await self.app.__rsgi__(Scope(method, unquote(parts.path), parts.query, pairs), protocol)
        return protocol

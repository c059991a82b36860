"""The thin layer over the HTTP server: a request read once, an answer written once. No vendor knows the server."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

# Larger bodies are not read to their end; each dialect says so in its own words.
BODY_LIMIT = 1024 * 1024
# This much more is read and thrown away, so that a caller that is still sending gets to read the refusal.
DISCARD_LIMIT = 15 * 1024 * 1024
# A caller that trickles its body does not hold a slot for ever.
BODY_SECONDS = 30.0
AGENT_LIMIT = 255

Headers = list[tuple[str, str]]


class BodyTooLarge(Exception):
    """The body passed the limit while it was read."""


class BodyTooSlow(Exception):
    """The body did not arrive in time."""


@dataclass(slots=True)
class Request:
    """One HTTP request, its body read and its caller known."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    address: str
    agent: str
    path_values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, ready to be sent."""

    status: int
    headers: Headers
    body: bytes = b""


class RsgiHeaders(Protocol):
    """What the server gives for headers: lower-case names; `get` is the first of a name."""

    def get(self, key: str, default: Any = None) -> Any: ...
    def items(self) -> list[tuple[str, str]]: ...


class RsgiScope(Protocol):
    """The part of a request's scope that is looked at."""

    proto: str
    method: str
    path: str
    query_string: str
    client: str
    scheme: str

    @property
    def headers(self) -> RsgiHeaders: ...


class RsgiProtocol(Protocol):
    """The part of the connection that is used."""

    def __aiter__(self) -> Any: ...
    def response_empty(self, status: int, headers: Headers) -> None: ...
    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None: ...


_encoder = msgspec.json.Encoder()
encode = _encoder.encode


async def read_body(method: str, headers: Mapping[str, str], protocol: RsgiProtocol, limit: int = BODY_LIMIT) -> bytes:
    """Read the body, counting: the announced length is a hint, never the measure."""
    announced = headers.get("content-length")
    if announced is None and method in ("GET", "HEAD") and "transfer-encoding" not in headers:
        return b""
    if announced == "0":
        return b""
    if (
        announced is not None
        and announced.isdecimal()
        and len(announced) < 20
        and int(announced) > limit + DISCARD_LIMIT
    ):
        raise BodyTooLarge
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _collect(protocol, limit)
    except TimeoutError:
        raise BodyTooSlow from None


async def _collect(protocol: RsgiProtocol, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in protocol:
        size += len(chunk)
        if size > limit + DISCARD_LIMIT:
            raise BodyTooLarge
        if size > limit:
            chunks.clear()
        else:
            chunks.append(chunk)
    if size > limit:
        raise BodyTooLarge
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def clean_agent(text: str) -> str:
    """Return a user agent that fits into metadata: printable ASCII, cut to its limit."""
    cut = text[:AGENT_LIMIT]
    if cut.isascii() and cut.isprintable():
        return cut
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in cut)


def send(protocol: RsgiProtocol, answer: Answer) -> None:
    """Write the answer."""
    if answer.body:
        protocol.response_bytes(answer.status, answer.headers, answer.body)
    else:
        protocol.response_empty(answer.status, answer.headers)

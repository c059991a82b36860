"""Composition root of the shim: the app over its channels, and the HTTP server that runs in the process's own loop."""

import asyncio
import base64
import contextlib
import logging
import socket
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Protocol

import grpc.aio
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from concord.gateway.app import App
from concord.gateway.upstream import Upstream
from concord.kernel.addresses import TrustedProxies, canonical_address
from concord.kernel.clock import Clock
from concord.kernel.config import GATEWAY, Address, Settings, Tls
from concord.kernel.telemetry import Metrics

_log = logging.getLogger("concord.gateway")

_HEADERS_SECONDS = 15.0
# Lists of ids in a query are long.
_HEADER_BYTES = 256 * 1024
_START_SECONDS = 10.0
_BACKLOG = 1024


class Platform(Protocol):
    """What the hosting process gives to the shim."""

    @property
    def settings(self) -> Settings: ...

    @property
    def clock(self) -> Clock: ...

    def channel(self, service: str) -> grpc.aio.Channel:
        """Return the way to a service."""

    def token(self, role: str) -> Callable[[], str]:
        """Return a source of service tokens for a role of this process."""

    @property
    def metrics(self) -> Metrics: ...


class CannotListen(OSError):
    """The address is taken, or is not this machine's."""


class Gateway:
    """The shim as the process starts and stops it."""

    def __init__(self, app: App, address: Address, tls: Tls | None = None, drain_seconds: float = 10.0) -> None:
        self.app = app
        self._address = address
        self._tls = tls
        self._drain_seconds = drain_seconds
        self._server: Any = None
        self._task: asyncio.Task[None] | None = None
        self._reserved: socket.socket | None = None

    @property
    def address(self) -> Address:
        """Where the shim listens; the port is the real one once it has started."""
        return self._address

    @property
    def url(self) -> str:
        """The address as clients write it."""
        return f"{'https' if self._tls else 'http'}://{self._address}"

    async def start(self) -> str:
        """Listen, and return the address as clients write it once connections are taken."""
        self._reserved = _reserve(self._address)
        self._address = Address(self._address.host, self._reserved.getsockname()[1])
        self.app.issuer = self.app.issuer or self.url
        self._server = Server(
            self.app,
            address=_numeric(self._address.host),
            port=self._address.port,
            interface=Interfaces.RSGI,
            websockets=False,
            backlog=_BACKLOG,
            log_enabled=False,
            http1_settings=HTTP1Settings(
                header_read_timeout=int(_HEADERS_SECONDS * 1000), max_buffer_size=_HEADER_BYTES
            ),
            **_tls_options(self._tls),
        )
        self._task = asyncio.create_task(self._server.serve(), name="gateway-http")
        try:
            async with asyncio.timeout(_START_SECONDS):
                await self._accepting(self._task)
        except TimeoutError:
            raise CannotListen(f"nothing answers at {self._address}") from None
        return self.url

    async def stop(self, grace: float | None = None) -> None:
        """Take no new connections, let requests end within the limit, then cut them off."""
        if self._task is None or self._server is None:
            return
        self._server.stop()
        limit = self._drain_seconds if grace is None else grace
        _, pending = await asyncio.wait({self._task}, timeout=limit)
        if pending:
            _log.warning("requests were cut off after %s s", limit)
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._reserved is not None:
            self._reserved.close()
        self._task = self._server = self._reserved = None

    async def _accepting(self, serving: asyncio.Task[None]) -> None:
        # The server tells nobody when it listens.
        while not serving.done():
            try:
                _, writer = await asyncio.open_connection(_numeric(self._address.host), self._address.port)
            except OSError:
                await asyncio.sleep(0.005)
                continue
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            return
        await serving


async def build(platform: Platform) -> Gateway:
    """Make the shim of a process. It does not listen before it is started."""
    settings = platform.settings
    proxies = TrustedProxies(settings.trusted_proxies)
    app = App(
        upstream=Upstream(platform.channel),
        service_token=platform.token(GATEWAY),
        clock=platform.clock,
        caller_address=lambda client, headers: caller_address(proxies, client, headers),
        registry=platform.metrics.registry,
        issuer=settings.issuer,
        caller_certificate=lambda client, headers: caller_certificate(proxies, client, headers),
    )
    return Gateway(app, settings.http, settings.tls, settings.drain_seconds)


def caller_address(proxies: TrustedProxies, client: str, headers: Mapping[str, str]) -> str:
    """Return who calls: the connection's other end, or whom trusted proxies say they forward.

    Only `X-Forwarded-For` is read: a proxy that writes one header passes the other on as its
    caller forged it, so two could never both be believed.
    """
    host = client.rpartition(":")[0].strip("[]")
    forwarded = headers.get("x-forwarded-for")
    return proxies.caller(host, [forwarded]) if forwarded else _peer(host)


def caller_certificate(proxies: TrustedProxies, client: str, headers: Mapping[str, str]) -> bytes:
    """Return the caller's certificate, DER, as a trusted proxy that ended its TLS hands it over (RFC 9440).

    From anybody else the header is what the caller wrote. Our own listener checks certificates and passes none on.
    """
    told = headers.get("client-cert", "")
    if not told or not proxies.is_trusted(client.rpartition(":")[0].strip("[]")):
        return b""
    try:
        return base64.b64decode(told.strip().removeprefix(":").removesuffix(":"), validate=True)
    except ValueError:
        return b""


# A peer's address is the same text request after request; taking it apart costs more than remembering it.
_peer = lru_cache(maxsize=4096)(canonical_address)


def _numeric(host: str) -> str:
    return "127.0.0.1" if host == "localhost" else host


def _reserve(address: Address) -> socket.socket:
    """Bind the port without listening: finds a free one for port 0, and refuses one that somebody serves.

    The HTTP server shares ports, so without this a second one would start and take half of the calls.
    """
    host = _numeric(address.host)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        if address.port:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, address.port))
        reserved = socket.socket(family, socket.SOCK_STREAM)
        try:
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            reserved.bind((host, address.port))
        except OSError:
            reserved.close()
            raise
    except OSError as error:
        raise CannotListen(f"cannot listen at {address}: {error.strerror}") from None
    return reserved


def _tls_options(tls: Tls | None) -> dict[str, Any]:
    if tls is None:
        return {}
    return {
        "ssl_cert": tls.certificate,
        "ssl_key": tls.key,
        "ssl_ca": tls.client_authority,
        "ssl_client_verify": tls.client_authority is not None,
    }

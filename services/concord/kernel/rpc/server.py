"""Builds a gRPC server: every handler behind the chain, health, reflection, TLS, a drain with a limit."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from concord.kernel.addresses import is_loopback, split_host_port
from concord.kernel.rpc.chain import Chain, Gate
from concord.kernel.rpc.inprocess import MAXIMUM_MESSAGE
from concord.kernel.rpc.limits import Limits

# `(add_XServicer_to_server, servicer)`, as generated code wants them.
Mounted = tuple[Callable[[Any, Any], None], Any]

_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING
# How long a server that stops goes on telling callers so.
_FAREWELL_SECONDS: Final = 0.1


class UnsafeListener(Exception):
    """The listener would offer credentials in clear text to a network, and nobody said that it may."""


class TlsFiles(Protocol):
    """Where a listener's certificate, its key and its clients' authority are kept."""

    @property
    def certificate(self) -> Path: ...

    @property
    def key(self) -> Path: ...

    @property
    def client_authority(self) -> Path | None: ...


@dataclass(frozen=True, slots=True)
class Listener:
    """Where and how a server listens. Port 0 asks the system for a free one."""

    address: str
    tls: TlsFiles | None = None
    plaintext_allowed: bool = False
    """Whether plaintext is all right on an address that others can reach."""
    maximum_message: int = MAXIMUM_MESSAGE


class RpcServer:
    """A gRPC server of this process."""

    def __init__(
        self,
        listener: Listener,
        server: grpc.aio.Server,
        services: Sequence[str],
        limits: Limits | None,
        health_servicer: Any,
        gate: Gate,
    ) -> None:
        self._listener = listener
        self._server = server
        self._services = (*services, "")
        self._limits = limits
        self._health = health_servicer
        self._gate = gate
        self.address = ""

    async def start(self) -> str:
        """Listen; return the address with its real port. Health says SERVING only after `ready()`."""
        host, _ = split_host_port(self._listener.address)
        port = _bind(self._server, self._listener)
        for service in self._services:
            await self._health.set(service, _NOT_SERVING)
        await self._server.start()
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return self.address

    async def ready(self) -> None:
        """Let health say that every service serves."""
        for service in self._services:
            await self._health.set(service, _SERVING)

    async def stop(self, grace: float) -> None:
        """Refuse new calls, let accepted ones finish within the limit, cancel what is left."""
        for service in self._services:
            await self._health.set(service, _NOT_SERVING)
        # First, so that streams end while their callers can no longer come back.
        self._gate.close()
        if self._limits is not None:
            self._limits.drain()
        # A server that stops cuts off what arrives before its callers have heard of it: let them hear.
        farewell = min(grace, _FAREWELL_SECONDS)
        await asyncio.sleep(farewell)
        await self._server.stop(grace - farewell)

    async def wait(self) -> None:
        """Return when the server has stopped."""
        await self._server.wait_for_termination()


def build_grpc_server(
    listener: Listener, servicers: Sequence[Mounted], chain: Chain, limits: Limits | None = None
) -> RpcServer:
    """Build a server that offers these servicers behind the chain. `limits` is the chain's own step, for draining."""
    require_safe(listener)
    server = grpc.aio.server(options=_options(listener))
    gate = Gate()
    mounting = _Mounting(server, chain, gate)
    for add, servicer in servicers:
        add(servicer, mounting)
    health_servicer = _untyped(health).aio.HealthServicer()
    _untyped(health_pb2_grpc).add_HealthServicer_to_server(health_servicer, mounting)
    names = tuple(mounting.names)
    reflector = _untyped(reflection).aio.ReflectionServicer((*names, reflection.SERVICE_NAME))
    _untyped(reflection_pb2_grpc).add_ServerReflectionServicer_to_server(reflector, mounting)
    return RpcServer(listener, server, names, limits, health_servicer, gate)


def require_safe(listener: Listener) -> None:
    """Raise UnsafeListener for plaintext on an address that others can reach, unless it was asked for."""
    host, _ = split_host_port(listener.address)
    if listener.tls is None and not listener.plaintext_allowed and not is_loopback(host):
        raise UnsafeListener(f"`{listener.address}` can be reached from outside: give it a certificate")


def _untyped(module: Any) -> Any:
    """Return a module of gRPC's that ships incomplete types."""
    return module


class _Mounting:
    """Takes what generated code adds and puts each handler behind the chain, once.

    An interceptor would do the same at every call, and the server is slower for having one.
    """

    def __init__(self, server: grpc.aio.Server, chain: Chain, gate: Gate) -> None:
        self._server = server
        self._chain = chain
        self._gate = gate
        self.names: list[str] = []

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """Take nothing: generated code adds the same methods by name too."""

    def add_registered_method_handlers(self, service: str, handlers: Any) -> None:
        self.names.append(service)
        mounted = {
            name: self._gate.wrap(service, self._chain.wrap(f"/{service}/{name}", handler))
            for name, handler in handlers.items()
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, mounted),))


def _options(listener: Listener) -> list[tuple[str, Any]]:
    return [
        ("grpc.max_receive_message_length", listener.maximum_message),
        ("grpc.max_send_message_length", listener.maximum_message),
        ("grpc.max_metadata_size", 16 * 1024),
        # Else a second server on the same port starts and takes half of the calls silently.
        ("grpc.so_reuseport", 0),
        # What channels.py does must not be taken for abuse.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
    ]


def _bind(server: grpc.aio.Server, listener: Listener) -> int:
    credentials = None if listener.tls is None else server_credentials(listener.tls)
    try:
        if credentials is None:
            return server.add_insecure_port(listener.address)
        return server.add_secure_port(listener.address, credentials)
    except RuntimeError:
        # What gRPC says about it fills a screen.
        raise OSError(f"cannot listen at {listener.address}") from None


def server_credentials(tls: TlsFiles) -> grpc.ServerCredentials:
    """Read the files; with an authority for clients, a client without its certificate is refused."""
    authority = tls.client_authority
    return grpc.ssl_server_credentials(
        [(tls.key.read_bytes(), tls.certificate.read_bytes())],
        root_certificates=None if authority is None else authority.read_bytes(),
        require_client_auth=authority is not None,
    )

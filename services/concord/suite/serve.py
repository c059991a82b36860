"""`concord serve` and `concord init`: listeners, signals, the ready line, a graceful end."""

import asyncio
import json
import logging
import os
import signal
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import grpc.aio

from concord.kernel.clock import SystemClock
from concord.kernel.config import GATEWAY, SERVICES, BadSetting, Settings
from concord.kernel.database import DatabaseFault
from concord.kernel.errors import Unavailable
from concord.kernel.keyring import KeyFault
from concord.kernel.rpc.server import Listener, RpcServer, UnsafeListener, build_grpc_server, require_safe
from concord.kernel.telemetry import configure_logging
from concord.suite.birth import bootstrap_file
from concord.suite.process import Process

if TYPE_CHECKING:
    from concord.gateway.server import Gateway

_log = logging.getLogger("concord.suite")


def run(settings: Settings) -> None:
    """Serve until a signal ends it."""
    configure_logging(settings.log_format, settings.log_level)
    # Databases too are made for this account alone, whatever the directory lets pass.
    os.umask(0o077)
    try:
        import uvloop
    except ImportError:
        asyncio.run(_serve(settings))
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, ended.set)
    process = Process(settings, SystemClock())
    hosting = _Hosting(settings, process)
    try:
        starting = asyncio.ensure_future(hosting.start())
        waiting = asyncio.ensure_future(ended.wait())
        await asyncio.wait({starting, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            # Told to end while it begins: what is half up must be at rest before it is taken down.
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            return
        ready = starting.result()
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        await waiting
    except (Unavailable, UnsafeListener, KeyFault, DatabaseFault, OSError, ValueError) as error:
        raise BadSetting(str(error)) from error
    except grpc.aio.AioRpcError as error:
        raise BadSetting(error.details() or "the services refused") from error
    finally:
        await hosting.stop()


class _Hosting:
    """The listeners of a process."""

    def __init__(self, settings: Settings, process: Process) -> None:
        self._settings = settings
        self._process = process
        self._rpc: RpcServer | None = None
        self._gateway: Gateway | None = None

    async def start(self) -> dict[str, object]:
        """Bring everything up, in the order in which one part needs another; return the ready line."""
        settings, process = self._settings, self._process
        listener = Listener(str(settings.grpc), settings.tls, settings.insecure_listen)
        if GATEWAY in settings.roles:
            # Credentials travel there too. Said before anything is opened.
            require_safe(replace(listener, address=str(settings.http)))
        await process.build()
        if process.mounted:
            self._rpc = build_grpc_server(listener, process.mounted, process.chain, process.limits)
            await self._rpc.start()
        await process.run()
        ready: dict[str, object] = {"ready": True}
        http = ""
        if GATEWAY in settings.roles:
            http = ready["http"] = await self._start_gateway()
        if self._rpc is not None:
            ready["grpc"] = self._rpc.address
        if settings.is_whole:
            written = await process.bootstrap(http, self._rpc.address if self._rpc else "")
            if written:
                ready["bootstrap"] = str(bootstrap_file(settings).resolve())
        if self._rpc is not None:
            await self._rpc.ready()
        return ready

    async def _start_gateway(self) -> str:
        from concord.gateway.server import build

        for service in SERVICES:
            await self._process.siblings.wait_until_ready(service, self._settings.start_seconds)
        gateway = await build(self._process)
        self._gateway = gateway
        return await gateway.start()

    async def stop(self) -> None:
        """Refuse what is new on every listener at once, finish what was accepted within one limit, then close.

        The shim reaches the services of its own process without the gRPC listener, so neither waits for the other.
        """
        loop = asyncio.get_running_loop()
        grace = self._settings.drain_seconds
        end = loop.time() + grace
        listeners = [each.stop(grace) for each in (self._gateway, self._rpc) if each is not None]
        for failure in await asyncio.gather(*listeners, return_exceptions=True):
            if isinstance(failure, BaseException):
                _log.error("a listener did not stop: %r", failure)
        await self._process.close(max(0.0, end - loop.time()))


async def initialize(settings: Settings, *, renew: bool) -> None:
    """Make the first organization in services that run already."""
    process = Process(settings, SystemClock())
    try:
        for service in ("identity", "credentials"):
            await process.siblings.wait_until_ready(service, settings.start_seconds)
        if not await process.bootstrap(f"http://{settings.http}", str(settings.sibling("policy")), renew=renew):
            raise BadSetting("bootstrap.json was taken away: --new-owner-credentials makes a new one")
    except grpc.aio.AioRpcError as error:
        raise BadSetting(error.details() or "the services refused") from None
    except Unavailable as error:
        raise BadSetting(str(error)) from None
    finally:
        await process.close()

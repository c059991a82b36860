"""One process of the suite: builds the roles it hosts, top to bottom, and connects them with the rest."""

import asyncio
import gc
import importlib
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import grpc.aio
from google.protobuf.message import Message
from sqlalchemy import MetaData

from concord.common.v1.authorization_service_pb2_grpc import AuthorizationServiceStub
from concord.common.v1.change_feed_service_pb2_grpc import add_ChangeFeedServiceServicer_to_server
from concord.common.v1.change_pb2 import ChangeEvent
from concord.kernel.clock import Clock
from concord.kernel.config import SERVICES, Settings
from concord.kernel.database import Connection, DatabaseSettings, open_database
from concord.kernel.errors import Unavailable
from concord.kernel.feed.consumer import Consumer
from concord.kernel.feed.producer import Feed
from concord.kernel.feed.servicer import ChangeFeedServicer
from concord.kernel.ids import OrganizationId
from concord.kernel.keyring import Keyring
from concord.kernel.paging import PageTokens
from concord.kernel.rpc.authorization import Authorizer, StubAuthorizer
from concord.kernel.rpc.freshness import Waiter
from concord.kernel.rpc.inprocess import InProcessChannel, InProcessServer
from concord.kernel.rpc.passports import FetchedPassportKeys, PassportVerifier, ServiceTokens, mint_service_token
from concord.kernel.rpc.server import Mounted
from concord.kernel.rpc.steps import Steps
from concord.kernel.service import Service
from concord.kernel.telemetry import Metrics
from concord.kernel.units import Unit, Units
from concord.suite.birth import Birth
from concord.suite.locks import RoleLocks
from concord.suite.siblings import CredentialsAuthenticator, KeyringServiceKeys, Siblings

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

S = TypeVar("S")

_log = logging.getLogger("concord.suite")


class _Deciding(Protocol):
    """The policy service, where it is hosted here: its decisions are a function call away."""

    authorizer: Authorizer


class Process:
    """The roles of one process. As a context manager it is up inside the block, without listeners."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.keyring = Keyring(settings.data_dir / "keys", os.environ)
        self.metrics = Metrics()
        self._locks = RoleLocks(settings.data_dir)
        self._services: dict[str, Service] = {}
        self._feeds: dict[str, Feed] = {}
        self._waiters: dict[str, Waiter] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._role = settings.roles[0] if settings.roles else "system"
        self._steps = Steps(self._verifier(), waiters=self._waiters, metrics=self.metrics, tracer=_tracer(os.environ))
        self.limits = self._steps.limits
        self.chain = self._steps.chain()
        self._server = InProcessServer(self.chain)
        channel = InProcessChannel(self._server)
        self.siblings = Siblings(settings, {role: channel for role in settings.roles if role in SERVICES})
        authenticator = CredentialsAuthenticator(self.channel("credentials"), self.token(self._role))
        self._steps.authentication.authenticator = authenticator
        self._passport_keys = authenticator.passport_keys

    def _verifier(self) -> PassportVerifier:
        keys = FetchedPassportKeys(lambda: self._passport_keys(), self.clock)
        return PassportVerifier(keys, KeyringServiceKeys(self.keyring), self.clock)

    def channel(self, service: str) -> grpc.aio.Channel:
        """Return the way to a service."""
        return self.siblings.channel(service)

    def service(self, name: str) -> Service:
        """Return a service that is hosted here."""
        return self._services[name]

    def token(self, role: str) -> Callable[[], str]:
        """Return what gives a role's current service token."""
        return ServiceTokens(role, self.keyring.role_key(role), clock=self.clock)

    def system_token(self, organization_id: str = "") -> str:
        """Mint a token of the deployment's administrator, for one organization or for none."""
        organization = OrganizationId(organization_id) if organization_id else None
        return mint_service_token("system", self.keyring.role_key("system"), organization, clock=self.clock)

    @property
    def mounted(self) -> Sequence[Mounted]:
        """What a gRPC server of this process offers."""
        servicers = [mounted for service in self._services.values() for mounted in service.servicers]
        if self._feeds:
            servicers.append((add_ChangeFeedServiceServicer_to_server, ChangeFeedServicer(self._feeds)))
        return servicers

    async def build(self) -> None:
        """Open the stores and mount the services; nothing runs yet."""
        self._locks.take(self.settings.roles)
        for name in SERVICES:
            if name in self.settings.roles:
                # Imported only where hosted: a process pays for its own roles.
                module = importlib.import_module(f"concord.{name}.server")
                self._services[name] = await module.build(_Seat(self, name))
                self._waiters[name] = _waiter(self._services[name].units)
        for add, servicer in self.mounted:
            add(servicer, self._server)
        self._steps.authorization.authorizer = self._authorizer()
        for feed in self._feeds.values():
            await feed.start()

    def _authorizer(self) -> Authorizer:
        policy: Any = self._services.get("policy")
        if policy is not None:
            deciding: _Deciding = policy
            return deciding.authorizer
        return StubAuthorizer(AuthorizationServiceStub(self.channel("policy")), self.token(self._role))

    async def run(self) -> None:
        """Start following the other services, and return when all that they had committed is applied here."""
        for service in self._services.values():
            for consumer in service.consumers:
                self._start(consumer.run(), f"{consumer.name} follows {consumer.source}")
            for background in service.background:
                self._start(background(), f"{service.name} in the background")
        try:
            async with asyncio.timeout(self.settings.start_seconds):
                for service in self._services.values():
                    for consumer in service.consumers:
                        await _insist_on(consumer)
        except TimeoutError:
            raise Unavailable("the other services did not answer in time") from None
        # What is here now stays. Looking through it for garbage again and again would stop every call for 0.1 s.
        gc.freeze()

    async def close(self, grace: float = 0.0) -> None:
        """Let calls in process finish within the limit, then end everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        await self._server.stop(grace)
        await self.siblings.close()
        for service in self._services.values():
            await service.units.database.close()
        self._locks.release()

    async def bootstrap(self, http: str = "", grpc_address: str = "", *, renew: bool = False) -> dict[str, Any]:
        """Make the first organization if there is none, and return the content of bootstrap.json."""
        return await Birth(self.settings, self.channel, self.system_token).run(http, grpc_address, renew=renew)

    async def __aenter__(self) -> "Process":
        await self.build()
        await self.run()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _start(self, coroutine: Any, name: str) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(coroutine, name=name)
        task.add_done_callback(_report)
        self._tasks.append(task)


class _Seat:
    """What one service is given while it is built: the platform, as that service's role."""

    def __init__(self, process: Process, role: str) -> None:
        self._process = process
        self._role = role
        self.settings = process.settings
        self.clock = process.clock
        self.keyring = process.keyring

    def channel(self, service: str) -> grpc.aio.Channel:
        """Return the way to a service."""
        return self._process.channel(service)

    def service_token(self) -> Callable[[], str]:
        """Return what gives this role's current service token."""
        return self._process.token(self._role)

    async def open_units(
        self,
        service: str,
        metadata: MetaData,
        migrations: Path,
        store: Callable[[Connection], S],
        snapshot: Callable[[Any], Message],
    ) -> Units[S]:
        """Open the service's database and bind its store and its feed."""
        settings = DatabaseSettings(
            url=self.settings.database_url,
            data_dir=self.settings.data_dir,
            ephemeral=self.settings.ephemeral,
            # The lock of each role on the data directory sees to it.
            alone=True,
        )
        database = await open_database(settings, service, metadata, migrations)
        feed = Feed(service, database, self.clock)
        self._process._feeds[service] = feed
        return Units(
            service=service,
            database=database,
            store=store,
            snapshot=snapshot,
            clock=self.clock,
            feed=feed,
            seal=self.keyring,
            page_tokens=PageTokens(self.keyring.page_key()),
        )

    def consumer(
        self, service: str, source: str, units: Units[S], apply: Callable[[Unit[S], ChangeEvent], None]
    ) -> Consumer:
        """Make the consumer that applies a source's changes to a service."""
        return Consumer(
            name=service,
            source=source,
            units=units,
            apply=apply,
            channel=self.channel(source),
            token=self._process.token(self._role),
        )


def _tracer(environment: Mapping[str, str]) -> "Tracer | None":
    """Return what writes spans where the deployment says how by OpenTelemetry's own variables, else None."""
    if not any(name.startswith("OTEL_") for name in environment):
        return None
    from opentelemetry.trace import get_tracer

    return get_tracer("concord")


def _waiter(units: Units[Any]) -> Waiter:
    async def wait(vector: Any, seconds: float | None) -> None:
        await units.wait_until_fresh(dict(vector), 5.0 if seconds is None else min(seconds, 5.0))

    return wait


async def _insist_on(consumer: Consumer) -> None:
    """Catch up, however often it takes: the other side may be starting too."""
    while True:
        try:
            await consumer.catch_up()
        except Unavailable:
            await asyncio.sleep(0.1)
        else:
            return


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("%s ended: %r", task.get_name(), error, exc_info=error)
